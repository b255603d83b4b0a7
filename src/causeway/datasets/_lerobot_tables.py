"""What a LeRobot dataset says in numbers, cross-checked."""

import json
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from . import Episode, _disk
from . import _lerobot_format as layout
from ._lerobot_format import ACTION, CAMERA, INFO, POINTS, STATE, STATS, TASKS
from ._lerobot_info import wrong
from ._lerobot_pictures import Film, Place

BLIND = f"{INFO} names no camera"
Tasks = dict[int, str] | None  # the words of each; None when meta/tasks.parquet could not be read


class Tables:
    """The numbers of a dataset, clouds only if ``points``. Reading never stops: what is wrong gathers in ``faults``."""

    def __init__(self, root: Path, points: bool = True):
        self.root = root
        self.faults: list[str] = []
        self.episodes: list[Episode] = []
        self.places: list[Place] = []
        self.cameras: dict[str, str] = {}  # name -> key
        self.sizes: dict[str, tuple[int, int]] = {}
        self.films: set[str] = set()
        self.state_names: tuple[str, ...] = ()
        self.action_names: tuple[str, ...] = ()
        self.point_names: tuple[str, ...] = ()  # of the 3 P coordinates
        self.rate_hz = 0.0
        self.total = 0
        self.stats: dict[str, dict[str, Any]] = {}
        self.info = self._info()
        if self.info:
            self._features()
            if points and POINTS in self.info["features"]:
                self._points(self.info["features"][POINTS]["shape"])
            self._read_episodes()

    def vectors(self) -> dict[str, NDArray[np.float32]]:
        """State and actions of all episodes in one piece each."""
        found = {}
        if self.state_names and self.episodes:
            found[STATE] = np.concatenate([episode.state for episode in self.episodes])
        if self.action_names and self.episodes:
            found[ACTION] = np.concatenate([e.actions for e in self.episodes if e.actions is not None])
        return found

    def _info(self) -> dict[str, Any]:
        if not (self.root / INFO).is_file():
            earlier = layout.earlier_version(self.root)
            self.faults.append(
                f"is a LeRobot dataset of {earlier}; only {layout.VERSION} is read. Convert it with lerobot's own tools"
                if earlier
                else f"has no {INFO}, so it is no LeRobot dataset, or one that was never finished"
            )
            return {}
        info = self._json(INFO)
        if info is None:
            return {}
        fault = wrong(info)
        self.faults += [fault] if fault else []
        return {} if fault else info

    def _features(self) -> None:
        self.rate_hz = float(self.info["fps"])
        features = self.info["features"]
        for key, feature in features.items():
            if feature["dtype"] in ("image", "video"):
                name = key.removeprefix(CAMERA).removeprefix("observation.")
                self.cameras[name] = key
                self.sizes[name] = layout.size_of(feature)
                if feature["dtype"] == "video":
                    self.films.add(name)
        if STATE in features:
            self.state_names = layout.names_of(features[STATE], "state")
        if ACTION in features:
            self.action_names = layout.names_of(features[ACTION], "action")
        if not self.cameras:
            self.faults.append(BLIND)
        if (self.root / STATS).is_file():
            self.stats = self._json(STATS) or {}
        else:
            self.faults.append(f"{STATS} is missing")

    def _points(self, shape: list[int]) -> None:
        if len(shape) == 2 and shape[0] and shape[1] == 3:
            self.point_names = tuple(f"{axis} of point {number}" for number in range(shape[0]) for axis in "xyz")
        else:
            self.faults.append(f"{INFO}: feature {POINTS} is of shape {shape}, not points and 3")

    def _read_episodes(self) -> None:
        tasks = self._tasks()
        rows = self._episode_rows()
        if rows is None:
            return
        self.total = len(rows)
        for key, found in (("total_episodes", len(rows)), ("total_frames", sum(row["length"] for row in rows))):
            if self.info[key] != found:
                self.faults.append(f"{INFO} says {key} is {self.info[key]!r}, but meta/episodes lists {found}")
        by_file: dict[Path, list[dict[str, Any]]] = {}
        for row in rows:
            by_file.setdefault(self._path("data_path", layout.DATA, row, "data"), []).append(row)
        for path, inside in by_file.items():
            table = self._numbers(path, inside)
            if table is not None:
                self._read_file(path, table, inside, tasks)

    def _read_file(self, path: Path, table: pa.Table, rows: list[dict[str, Any]], tasks: Tasks) -> None:
        number = table["episode_index"].to_numpy()
        starts = np.flatnonzero(np.diff(number, prepend=number[:1] - 1))
        counts = np.diff(np.append(starts, len(number)))
        runs = {int(number[start]): (int(start), int(count)) for start, count in zip(starts, counts)}
        if len(runs) < len(starts):
            self.faults.append(f"{self._name(path)}: the rows of an episode do not stand together")
        strangers = set(runs) - {row["episode_index"] for row in rows}
        if strangers:
            self.faults.append(f"{self._name(path)} holds episodes {sorted(strangers)}, put elsewhere by meta/episodes")
        for row in rows:
            name = str(row.get(layout.NAME_COLUMN) or row["episode_index"])
            start, count = runs.get(row["episode_index"], (0, 0))
            if count != row["length"]:
                self.faults.append(
                    f"episode {name}: {row['length']} frames in meta/episodes but {count} rows in {self._name(path)}"
                )
            if count:
                self._add(name, row, table.slice(start, count), self._place(row, path, start, count), tasks)

    def _add(self, name: str, row: dict[str, Any], table: pa.Table, place: Place, tasks: Tasks) -> None:
        time_s = table["timestamp"].to_numpy().astype(np.float64)
        late = ~(np.diff(time_s) > 0)  # NaN is not later than anything
        if late.any():
            self.faults.append(f"episode {name}: time does not go on at frame {int(np.argmax(late)) + 1}")
        if (table["frame_index"].to_numpy() != np.arange(len(table))).any():
            self.faults.append(f"episode {name}: frame_index does not count 0, 1, 2...")
        first = row.get("dataset_from_index") or 0
        if (table["index"].to_numpy() != first + np.arange(len(table))).any():
            self.faults.append(f"episode {name}: index does not count up from {first}, where meta/episodes puts it")
        task = int(table["task_index"][0].as_py())
        if tasks is not None and task not in tasks:
            self.faults.append(f"episode {name}: task {task} is not in {TASKS}")
        state = self._vector(name, table, STATE, self.state_names)
        actions = self._vector(name, table, ACTION, self.action_names) if self.action_names else None
        points = self._vector(name, table, POINTS, self.point_names) if self.point_names else None
        cloud = None if points is None else points.reshape(len(points), -1, 3)
        self.episodes.append(Episode(name, time_s - time_s[0], state, actions, (tasks or {}).get(task, ""), cloud))
        self.places.append(place)

    def _vector(self, name: str, table: pa.Table, key: str, names: tuple[str, ...]) -> NDArray[np.float32]:
        """A column of numbers or of lists of numbers as (N, len(names))."""
        if not names:
            return np.zeros((len(table), 0), np.float32)
        column = table[key].combine_chunks()
        column = column.storage if isinstance(column.type, pa.BaseExtensionType) else column
        while _is_list(column.type):
            column = column.flatten()
        values = np.asarray(column.to_numpy(zero_copy_only=False), np.float32)
        if len(values) != len(table) * len(names):
            held = f"{len(values)} numbers in {len(table)} frames"
            self.faults.append(f"episode {name}: {key} holds {held}, not {len(names)} a frame as {INFO} says")
            return np.full((len(table), len(names)), np.nan, np.float32)
        values = values.reshape(-1, len(names))
        broken = np.argwhere(~np.isfinite(values))
        if len(broken):
            row, place = broken[0]
            others = f", {len(broken) - 1} more" if len(broken) > 1 else ""
            self.faults.append(
                f"episode {name}: {names[place]} in {key} is {values[row, place]} at frame {row}{others}"
            )
        return values

    def _place(self, row: dict[str, Any], file: Path, start: int, count: int) -> Place:
        films, lost = {}, {}
        for camera in sorted(self.films):
            key = self.cameras[camera]
            places = [row.get(f"videos/{key}/{name}") for name in ("chunk_index", "file_index", "from_timestamp")]
            if not all(isinstance(place, int | float) for place in places):
                lost[camera] = f"meta/episodes does not say where the films of {camera} are"
                continue
            path = self._path("video_path", layout.VIDEOS, row, f"videos/{key}", video_key=key)
            if path.is_file():
                films[camera] = Film(path, float(row[f"videos/{key}/from_timestamp"]))
            else:
                lost[camera] = _disk.absent(self.root, path)
        self.faults.extend(reason for reason in lost.values() if reason not in self.faults)
        return Place(file, start, count, films, lost)

    def _tasks(self) -> Tasks:
        path = self.root / TASKS
        table = self._parquet(path, lambda name: True)
        if table is None or self._unfit(path, table, ["task_index"]):
            return None
        words = next((name for name in table.column_names if name != "task_index"), "")
        if not words:
            self.faults.append(f"{TASKS} has no column of words beside task_index")
            return None
        return dict(zip(table["task_index"].to_pylist(), map(str, table[words].to_pylist())))

    def _episode_rows(self) -> list[dict[str, Any]] | None:
        """What meta/episodes lists; None, and a fault, when a part of it cannot be read."""
        rows: list[dict[str, Any]] = []
        told = len(self.faults)
        for path in sorted((self.root / "meta/episodes").glob("*/*.parquet")):
            table = self._parquet(path, lambda name: not name.startswith("stats/"))
            wanted = ["episode_index", "length", "data/chunk_index", "data/file_index"]
            if table is not None and not self._unfit(path, table, wanted):
                rows += table.to_pylist()
        if not rows and len(self.faults) == told:
            self.faults.append("meta/episodes holds no episodes")
        if len(self.faults) > told:
            return None
        rows.sort(key=lambda row: row["episode_index"])
        if [row["episode_index"] for row in rows] != list(range(len(rows))):
            self.faults.append("meta/episodes: episode_index does not count 0, 1, 2...")
        return rows

    def _numbers(self, path: Path, rows: list[dict[str, Any]]) -> pa.Table | None:
        """A data file without its pictures."""
        vectors = {STATE: self.state_names, ACTION: self.action_names, POINTS: self.point_names}
        wanted = {*layout.COUNTERS, *(key for key, names in vectors.items() if names)}
        table = self._parquet(path, lambda name: name in wanted, f", so {len(rows)} episodes cannot be read")
        if table is None:
            return None
        pictures = {key for camera, key in self.cameras.items() if camera not in self.films}
        lacking = (wanted | pictures) - set(pq.read_schema(path).names)
        if lacking:
            self.faults.append(f"{self._name(path)} has no column {', '.join(sorted(lacking))}")
            return None
        return None if self._unfit(path, table, sorted(wanted)) else table

    def _unfit(self, path: Path, table: pa.Table, wanted: list[str]) -> bool:
        """Whether a column of numbers is missing or holds something else, which is then noted."""
        lacking = [name for name in wanted if name not in table.column_names]
        broken = [f"column {name} {said}" for name in wanted if (said := _stranger(table, name))]
        self.faults += [f"{self._name(path)} has no column {', '.join(lacking)}"] if lacking else []
        self.faults += [f"{self._name(path)}: {said}" for said in broken]
        return bool(lacking or broken)

    def _parquet(self, path: Path, wanted: Callable[[str], bool], lost: str = "") -> pa.Table | None:
        """The wanted columns of a table; None, and a fault, when it cannot be read."""
        if not path.is_file():
            self.faults.append(f"{self._name(path)} is missing{lost}")
            return None
        try:
            columns = [name for name in pq.read_schema(path).names if wanted(name)]
            return pq.read_table(path, columns=columns, partitioning=None)
        except (OSError, pa.ArrowException) as error:
            self.faults.append(f"{self._name(path)} cannot be read{lost} ({str(error).splitlines()[0]})")
            return None

    def _json(self, name: str) -> dict[str, Any] | None:
        """The object in a file; None, and a fault, when it holds none."""
        try:
            content = json.loads((self.root / name).read_text(encoding="utf-8"))
        except ValueError as error:
            self.faults.append(f"{name} is not valid JSON ({error})")
            return None
        if not isinstance(content, dict):
            self.faults.append(f"{name} holds {reprlib.repr(content)}, not an object")
            return None
        return content

    def _path(self, key: str, default: str, row: dict[str, Any], place: str, **words: str) -> Path:
        numbers = {name: int(row[f"{place}/{name}"]) for name in ("chunk_index", "file_index")}
        return self.root / (self.info.get(key) or default).format(**numbers, **words)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _stranger(table: pa.Table, name: str) -> str:
    """What the column ``name`` holds beside numbers; "" where there is nothing else, or no such column."""
    if name not in table.column_names:
        return ""
    column, kind = table[name], table.schema.field(name).type
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    while name in (STATE, ACTION, POINTS) and _is_list(kind):
        kind = kind.value_type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        return f"holds {str(kind).partition('<')[0]}, not numbers"
    return "is empty in some rows" if column.null_count else ""
