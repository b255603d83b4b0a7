"""Write episodes as they come, as a LeRobot dataset v3.0 that is there whole or not at all."""

import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from .datasets import Dataset, Episode, _fit, off_beat
from .datasets import _lerobot_format as layout
from .datasets._lerobot_files import DataFiles, FilmFiles, sentences
from .disk import exclusive, room_in
from .errors import DataError
from .progress import counted

Frame = NDArray[np.uint8] | tuple[bytes, ...]  # (V, H, W, 3) RGB, or V files, JPEG or PNG, kept as they are
Pictures = Literal["image", "video"]


@dataclass(frozen=True)
class Recording:
    """What all episodes of a dataset share."""

    cameras: tuple[str, ...]
    rate_hz: float
    state_names: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()  # none: nobody demonstrates
    pictures: Pictures = "image"  # "image" keeps every pixel; "video" is h264: smaller, no longer exact
    robot: str = ""
    data_file_mb: int = 100  # a new data file is begun beyond this size
    video_file_mb: int = 200  # likewise a new film
    points: int = 0  # P, of the cloud of each moment; 0: there are no depth cameras

    def __post_init__(self) -> None:
        if self.pictures not in get_args(Pictures):
            raise DataError(f"pictures must be {' or '.join(map(repr, get_args(Pictures)))}, not {self.pictures!r}.")
        for field in ("cameras", "state_names", "action_names"):
            names = getattr(self, field)
            if isinstance(names, str) or not all(isinstance(name, str) and name for name in names):
                raise DataError(f"{field} must be names, such as ('front', 'hand'), not {names!r}.")
            if len(set(names)) < len(names):
                raise DataError(f"{field} names one twice: {', '.join(names)}.")
        if not isinstance(self.rate_hz, Real) or not 0 < self.rate_hz < math.inf:
            raise DataError(f"rate_hz must be a number above 0, not {self.rate_hz!r}.")


def copy(dataset: Dataset, folder: Path, pictures: Pictures = "image") -> Path:
    """Import ``dataset``: write all its episodes to ``folder`` as LeRobot v3.0. Picture files are kept byte by byte."""
    if not dataset.rate_hz > 0:
        raise DataError(f"{dataset.root} has no two frames that follow one another, and so no rate to write down.")
    names = dataset.cameras, dataset.rate_hz, dataset.state_names, dataset.action_names
    recording = Recording(*names, pictures=pictures, points=dataset.points)
    total = sum(len(episode) for episode in dataset.episodes)
    with counted(f"writing {folder}", total, "frames") as advance, Recorder(folder, recording) as recorder:
        for number, episode in enumerate(dataset.episodes):
            files = dataset.encoded(number) if pictures == "image" else None
            frames = _Counted(dataset.frames(number) if files is None else files, advance)
            try:
                recorder.add(episode, frames)
            except (DataError, OSError):
                if files is not None:
                    next(dataset.frames(number, frames.taken), None)  # it knows the file, and tells what is wrong
                raise
    return folder


class _Counted:
    """Frames on their way, and how many have been taken in."""

    def __init__(self, frames: Iterable[Frame], advance: Callable[[int], None]):
        self._frames, self._advance = frames, advance
        self.taken = 0

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            yield frame
            self.taken += 1
            self._advance(1)


class Recorder:
    """``with Recorder(folder, recording) as recorder: recorder.add(episode, frames)``.

    Everything is written to ``folder.unfinished`` and renamed when the block ends well. When it does not, that folder
    is removed; a killed process leaves it behind for the next Recorder of the same ``folder`` to remove. Memory holds
    some megabytes of pictures, however long an episode is.
    """

    def __init__(self, folder: Path, recording: Recording):
        self.folder = Path(folder)
        self.recording = recording
        self.unfinished = self.folder.with_name(f"{self.folder.name}.unfinished")
        self._keys = {camera: layout.CAMERA + camera for camera in recording.cameras}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._tasks: dict[str, int] = {}
        self._stats: dict[str, layout.Statistics] = {}
        self._times: dict[str, NDArray[np.float64]] = {}  # by the names of episodes
        self._episodes = self._frames = 0
        self._broken_off = False
        self._open = ExitStack()

    def __enter__(self) -> Self:
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise DataError(f"{self.folder} already exists. Choose another folder, or remove it.")
        with room_in(self.folder):
            self.unfinished.mkdir(parents=True, exist_ok=True)
            self._open.enter_context(exclusive(self.unfinished / ".lock", wait=False))
            for left in self.unfinished.iterdir():  # by a recorder that was killed
                if left.name != ".lock":
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
        recording = self.recording
        self._data = DataFiles(self.unfinished, self._schema(), recording.data_file_mb)
        self._films = {
            key: FilmFiles(self.unfinished, key, recording.rate_hz, recording.video_file_mb)
            for key in (self._keys.values() if recording.pictures == "video" else ())
        }
        self._table = DataFiles(self.unfinished, None, recording.data_file_mb, layout.EPISODES)
        self._files: list[DataFiles | FilmFiles] = [self._data, self._table, *self._films.values()]
        for files in self._files:
            self._open.callback(files.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except BaseException:
            self._discard()
            raise
        if kind is not None:
            self._discard()

    def add(self, episode: Episode, frames: Iterable[Frame]) -> None:
        """Write one episode; ``frames`` are taken one at a time. Raises DataError when they do not fit the episode."""
        recording = self.recording
        names = recording.state_names, recording.action_names
        _fit.check_numbers(str(self.folder), episode, *names, recording.points, recording.rate_hz)
        if episode.name in self._times:
            raise DataError(f"{self.folder}: there is an episode {episode.name} already. Give each a name of its own.")
        self._broken_off = True
        length = len(episode)
        task = self._tasks.setdefault(episode.task, len(self._tasks))
        film = recording.pictures == "video"
        with room_in(self.folder):
            columns = self._columns(episode, task)
            place = self._data.begin()
            stretches = {key: files.begin() for key, files in self._films.items()}
            colours = {key: layout.Colours(length) for key in self._keys.values()}
            for number, images in enumerate(self._checked(episode, frames)):
                where = f"{self.folder} episode {episode.name}: frame {number}"
                views = _fit.views(where, images, len(self._keys))
                for (camera, key), image in zip(self._keys.items(), views):
                    pixels = _fit.pixels(f"{where} of {camera}", image)
                    self._refuse_another_size(f"{where} of {camera}", camera, pixels)
                    colours[key].add(number, pixels)
                    if film:
                        self._films[key].add(pixels)
                    else:
                        self._data.add_picture(key, image, pixels, number)
                self._data.flush_to(columns, number + 1)
            stats = {key: colour.statistics() for key, colour in colours.items()}
            stats |= {key: layout.statistics(np.asarray(values)) for key, values in columns.items()}
            self._describe(
                episode, place, {key: files.end(stretches[key]) for key, files in self._films.items()}, stats
            )

    def _columns(self, episode: Episode, task: int) -> dict[str, NDArray[Any]]:
        """The numbers of an episode, a column each."""
        counting = np.arange(len(episode))
        film = self.recording.pictures == "video"  # a film's pictures are found by their time, which runs evenly
        columns: dict[str, NDArray[Any]] = {}
        if self.recording.state_names:
            columns[layout.STATE] = episode.state
        if episode.actions is not None:
            columns[layout.ACTION] = episode.actions
        if episode.points is not None:
            columns[layout.POINTS] = np.ascontiguousarray(episode.points, np.float32)
        return {
            **columns,
            "timestamp": (counting / self.recording.rate_hz if film else episode.time_s).astype(np.float32),
            "frame_index": counting,
            "episode_index": np.full(len(episode), self._episodes),
            "index": self._frames + counting,
            "task_index": np.full(len(episode), task),
        }

    def _checked(self, episode: Episode, frames: Iterable[Frame]) -> Iterator[Frame]:
        count = 0
        for images in frames:
            if count < len(episode):
                yield images
            count += 1
        if count != len(episode):
            raise DataError(f"{self.folder} episode {episode.name}: {count} frames but {len(episode)} actions.")

    def _refuse_another_size(self, where: str, camera: str, pixels: NDArray[np.uint8]) -> None:
        size = (pixels.shape[0], pixels.shape[1])
        was = self._sizes.setdefault(camera, size)
        if was != size:
            raise DataError(f"{where} is {size[1]}x{size[0]}, those before are {was[1]}x{was[0]}.")

    def _describe(
        self, episode: Episode, place: dict[str, int], films: dict[str, dict[str, Any]], stats: dict[str, Any]
    ) -> None:
        first, last = self._frames, self._frames + len(episode)
        row: dict[str, Any] = {"episode_index": self._episodes, "tasks": [episode.task], "length": len(episode)}
        row |= {layout.NAME_COLUMN: episode.name, **{f"data/{key}": value for key, value in place.items()}}
        row |= {"dataset_from_index": first, "dataset_to_index": last}
        row |= {f"videos/{key}/{name}": value for key, film in films.items() for name, value in film.items()}
        row |= {f"stats/{key}/{name}": value.tolist() for key, s in stats.items() for name, value in s.items()}
        row |= {f"meta/episodes/{key}": value for key, value in self._table.begin().items()}
        self._table.add_row(row)
        for key, numbers in stats.items():
            self._stats[key] = layout.merged(self._stats[key], numbers) if key in self._stats else numbers
        self._times[episode.name] = episode.time_s
        self._episodes, self._frames, self._broken_off = self._episodes + 1, last, False

    def _schema(self) -> pa.Schema:
        recording = self.recording
        picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        fields = [(key, picture) for key in self._keys.values() if recording.pictures == "image"]
        for key, names in ((layout.STATE, recording.state_names), (layout.ACTION, recording.action_names)):
            if names:  # a single number is no list in LeRobot
                fields.append((key, pa.list_(pa.float32(), len(names)) if len(names) > 1 else pa.float32()))
        fields += [(layout.POINTS, pa.list_(pa.list_(pa.float32())))] if recording.points else []
        fields += [(key, pa.type_for_alias(kind)) for key, kind in layout.COUNTERS.items()]
        return pa.schema(fields)

    def _features(self) -> dict[str, layout.Feature]:
        recording = self.recording
        features: dict[str, layout.Feature] = {}
        for camera, key in self._keys.items():
            shape = [*self._sizes[camera], 3]
            features[key] = {"dtype": recording.pictures, "shape": shape, "names": list(layout.PICTURE_AXES)}
            if recording.pictures == "video":
                features[key]["info"] = self._films[key].info(*self._sizes[camera])
        for key, names in ((layout.STATE, recording.state_names), (layout.ACTION, recording.action_names)):
            if names:
                features[key] = {"dtype": "float32", "shape": [len(names)], "names": list(names)}
        if recording.points:
            axes = ["point", "axis"]
            features[layout.POINTS] = {"dtype": "float32", "shape": [recording.points, 3], "names": axes}
        counters = {key: {"dtype": kind, "shape": [1], "names": None} for key, kind in layout.COUNTERS.items()}
        return features | counters

    def _finish(self) -> None:
        if self._broken_off or not self._episodes:
            what = "an episode broke off half-way" if self._broken_off else "no episode was recorded"
            raise DataError(f"{self.folder}: {what}; nothing is kept.")
        rate_hz = self.recording.rate_hz
        if fault := off_beat([*self._times.values()], rate_hz):
            raise DataError(f"{self.folder} {fault} Nothing is kept.")
        info = {
            "codebase_version": layout.VERSION,
            "robot_type": self.recording.robot or None,
            "total_episodes": self._episodes,
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": layout.FILES_PER_CHUNK,
            "data_files_size_in_mb": self.recording.data_file_mb,
            "video_files_size_in_mb": self.recording.video_file_mb,
            "fps": int(rate_hz) if rate_hz == int(rate_hz) else rate_hz,
            "splits": {"train": f"0:{self._episodes}"},
            "data_path": layout.DATA,
            "video_path": layout.VIDEOS if self._films else None,
            "features": self._features(),
        }
        stats = {key: {name: v.tolist() for name, v in numbers.items()} for key, numbers in self._stats.items()}
        with room_in(self.folder):
            for files in self._files:
                files.close()
            pq.write_table(sentences(list(self._tasks)), self.unfinished / layout.TASKS)
            for name, content in ((layout.STATS, stats), (layout.INFO, info)):
                (self.unfinished / name).write_text(json.dumps(content, indent=4), encoding="utf-8")
        os.rename(self.unfinished, self.folder)
        (self.folder / ".lock").unlink()
        self._open.close()

    def _discard(self) -> None:
        with suppress(Exception):  # what is thrown away need not end well; the first error is the one to tell
            self._open.close()
        shutil.rmtree(self.unfinished, ignore_errors=True)
