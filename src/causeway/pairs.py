"""Which source episodes do what a target episode does, and when: pairs by dynamic time warping (Cheng et al. 2025).

Episodes are compared in some of their numbers (joints, speed, actions), each in units of its spread over both sides. A
file of pairs is a parquet table, a row for each source and target episode:

    source, target     the names of the episodes
    distance           the mean distance between what both felt along the warping path
    source_step, target_step    the path: lists of as many moments of either, from both beginnings to both ends
"""

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from .data import Moments
from .datasets import Dataset
from .disk import exclusive, whole
from .errors import ConfigError, DataError, nearest
from .progress import counted
from .warping import warp

TOGETHER, ROOM = 128, 2**28  # source episodes that go along a target episode at once, and cells that they may have
LONGEST = 2**31  # cells of a single pair: 2 GB for the moves that lead to them
STILL = 1e-6  # a number that spreads less is constant
COLUMNS = ("source", "target", "distance", "source_step", "target_step")
UNITS = 40.0  # a number that spreads so many times more on one side is in other units there: a radian has 57 degrees


def pair(source: Dataset, target: Dataset, path: Path, by: Sequence[str] = (), jobs: int = 1) -> int:
    """Write the pairs of every source with every target episode to ``path``, and count them.

    ``by`` names what is compared: of the state or actions that both sides have; all of the state when it names nothing,
    or the actions where there is no state. Raises DataError where that is missing, not a number, constant on both
    sides, or in other units, and ConfigError where ``path`` is no ``.parquet``. A killed call goes on with the target
    episodes that are not done.
    """
    if path.suffix != ".parquet" or path.is_dir():
        raise ConfigError(f"Pairs are written to a parquet file: name it, such as {path.with_suffix('.parquet')}.")
    names = _chosen(source, target, by)
    ours, theirs = (_sequences(side, names) for side in (source, target))
    names, kept, scale = _scaled(names, ours, theirs)
    ours, theirs = ([(each[:, kept] / scale).astype(np.float32) for each in side] for side in (ours, theirs))
    about = {"by": names, "scale": [float(each) for each in scale]}
    state = json.dumps([about, source.fingerprint(), target.fingerprint()])
    parts = path.with_name(f".{path.name}.{hashlib.sha256(state.encode()).hexdigest()[:12]}")
    path.parent.mkdir(parents=True, exist_ok=True)
    refusal = f"{path} is being written by another causeway process."
    with exclusive(path.with_name(f".{path.name}.lock"), wait=False, refusal=refusal):
        parts.mkdir(exist_ok=True)
        files = [parts / f"{number}.parquet" for number in range(len(theirs))]
        todo = [number for number, file in enumerate(files) if not file.exists()]
        order = sorted(range(len(ours)), key=lambda number: len(ours[number]))  # of one length together: less padding

        def work(number: int) -> int:
            found = list(_along(ours, order, theirs[number]))
            _write(files[number], source, target.episodes[number].name, found, about)
            return len(found)

        with counted("pairing", len(todo) * len(ours), "pairs") as advance, ThreadPoolExecutor(jobs) as pool:
            for done in as_completed([pool.submit(work, number) for number in todo]):
                advance(done.result())
        with whole(path) as temporary:
            _joined(files, temporary)
        for file in files:
            file.unlink()
        parts.rmdir()
    return len(ours) * len(theirs)


def _chosen(source: Dataset, target: Dataset, by: Sequence[str]) -> list[str]:
    """The names of the numbers to compare."""
    sides = [(*side.state_names, *side.action_names) for side in (source, target)]
    both = [name for name in sides[0] if name in sides[1]]
    for name in by:
        if name not in both:
            lacking = next(side for side, own in zip((source, target), sides) if name not in own)
            raise ConfigError(f"{lacking.root} has no state or action '{name}'. {nearest(name, both)}")
    states = [name for name in source.state_names if name in target.state_names]
    if not both:
        ours, theirs = (", ".join(own) or "nothing" for own in sides)
        raise ConfigError(
            f"Nothing to pair by: {source.root} records {ours}, {target.root} records {theirs}, and no name is in both."
        )
    if by or states == list(source.state_names) == list(target.state_names):
        return list(by) or states or both
    raise ConfigError(
        f"The states differ: {', '.join(source.state_names) or 'none'} in {source.root}, "
        f"{', '.join(target.state_names) or 'none'} in {target.root}. Say what to compare: --by NAME."
    )


def _sequences(side: Dataset, names: Sequence[str]) -> list[NDArray[np.float32]]:
    """(N, K) the named numbers of every episode."""
    known = (*side.state_names, *side.action_names)
    columns = [known.index(name) for name in names]
    if not side.episodes:
        raise DataError(f"{side.root} has no episodes to pair.")
    found = []
    for episode in side.episodes:
        if 2 * len(episode) ** 2 > LONGEST:
            raise DataError(f"{side.root} episode {episode.name} has {len(episode):,} moments, too many. Cut it up.")
        numbers = episode.state if episode.actions is None else np.concatenate([episode.state, episode.actions], 1)
        if max(columns) >= numbers.shape[1]:
            raise DataError(f"{side.root} episode {episode.name} has no actions to compare. Choose others with --by.")
        own = numbers[:, columns]
        if not np.isfinite(own).all():
            step, column = np.argwhere(~np.isfinite(own))[0]
            raise DataError(
                f"{side.root} episode {episode.name}: {names[column]} is {own[step, column]} at frame {step}."
            )
        found.append(own)
    return found


def _scaled(
    names: Sequence[str], ours: Sequence[NDArray[np.float32]], theirs: Sequence[NDArray[np.float32]]
) -> tuple[list[str], list[int], NDArray[np.float64]]:
    """The names and columns that are not constant on both sides, and their spread over both."""
    a, b = (np.concatenate(side).astype(np.float64) for side in (ours, theirs))
    spreads = np.stack([a.std(0), b.std(0)])
    for name, (one, other) in zip(names, spreads.T):
        if min(one, other) > STILL and max(one, other) > UNITS * min(one, other):
            raise DataError(
                f"{name} spreads {max(one, other) / min(one, other):.0f} times more in the "
                f"{'source' if one > other else 'target'}: are its units the same? If they are, leave it out with --by."
            )
    for side, own, spread in (("source", a, spreads[0]), ("target", b, spreads[1])):
        if len(own) > 1 and (spread <= STILL).all():
            raise DataError(
                f"Nothing to pair by: {', '.join(names)} never change in the {side}. Choose others with --by."
            )
    whole = np.concatenate([a, b]).std(0)
    kept = np.flatnonzero(whole > STILL).tolist()
    if not kept:
        raise DataError(f"Nothing to pair by: {', '.join(names)} never change. Choose other numbers with --by.")
    return [names[column] for column in kept], kept, whole[kept]


def _along(
    ours: Sequence[NDArray[np.float32]], order: Sequence[int], other: NDArray[np.float32]
) -> Iterator[tuple[int, float, NDArray[np.int32]]]:
    """The number, distance and path of every source episode along one target episode."""
    left = deque(order)
    while left:
        longest = len(ours[left[-1]])  # so few at once that even as many of the longest would have room
        count = min(TOGETHER, max(1, ROOM // (longest * (longest + len(other)))))
        chosen = [left.pop() for _ in range(min(count, len(left)))]
        for number, path in zip(chosen, warp([ours[each] for each in chosen], other)):
            yield number, path.distance, path.steps


def _write(
    file: Path, source: Dataset, target: str, found: Sequence[tuple[int, float, NDArray[np.int32]]], about: object
) -> None:
    rows = sorted(found, key=lambda each: each[0])
    lengths = np.cumsum([0, *(len(steps) for *_, steps in rows)]).astype(np.int32)
    steps = np.concatenate([steps for *_, steps in rows])
    table = pa.table(
        {
            "source": [source.episodes[number].name for number, *_ in rows],
            "target": [target] * len(rows),
            "distance": [distance for _, distance, _ in rows],
            "source_step": pa.ListArray.from_arrays(lengths, np.ascontiguousarray(steps[:, 0])),
            "target_step": pa.ListArray.from_arrays(lengths, np.ascontiguousarray(steps[:, 1])),
        }
    )
    with whole(file) as temporary:
        pq.write_table(table.replace_schema_metadata({"pairs": json.dumps(about)}), temporary)


def _joined(files: Sequence[Path], path: Path) -> None:
    with pq.ParquetWriter(path, pq.read_schema(files[0])) as into:
        for file in files:
            into.write_table(pq.read_table(file))


@dataclass(frozen=True)
class Pairing:
    """Source moments drawn to go with target moments, from a file of pairs."""

    file: str = ""  # what causeway pair wrote; without it, the moments of both sides are drawn apart
    share: float = 0.5  # of the imitated source moments, how many are drawn in pairs
    sharpness: float = 10.0  # raising it draws near episodes more and far ones less, s
    middle: float = 0.01  # raising it draws farther episodes too; at this distance one is half as likely as can be, c
    window: int = 10  # raising it draws source moments farther off the warping path, in steps
    batch: int = 128  # pairs that are aligned in a step, beside the moments that are imitated

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1 or self.sharpness < 0 or self.window < 0 or self.batch < 2:
            raise ConfigError("needs share between 0 and 1, sharpness and window of 0 or more, and batch of 2 or more.")


class Paths(NamedTuple):
    """The warping paths of R pairs of episodes. ``low`` and ``high`` hold the target steps of all pairs in a row."""

    lengths: tuple[NDArray[np.int32], NDArray[np.int32]]  # (R,) of the source and of the target episodes
    place: NDArray[np.int64]  # (R,) where the first target step of a pair stands
    low: NDArray[np.int32]  # the first source step that goes with each target step
    high: NDArray[np.int32]  # the last one


def _paths(table: pa.Table) -> Paths:
    own, other = (table[key].combine_chunks() for key in ("source_step", "target_step"))
    offsets = own.offsets.to_numpy()
    own, other = own.flatten().to_numpy(), other.flatten().to_numpy()
    row = np.repeat(np.arange(len(table)), np.diff(offsets))
    begins = np.flatnonzero(np.diff(row, prepend=-1) | np.diff(other, prepend=-1))
    ends = np.append(begins[1:], len(row)) - 1
    last = offsets[1:] - 1
    place = np.searchsorted(row[begins], np.arange(len(table)))
    return Paths((own[last] + 1, other[last] + 1), place, own[begins], own[ends])


class Pairs:
    """Draws moments of both sides that go together: a target moment at random, a source episode with probability
    proportional to ``1 / (1 + exp(sharpness (distance - middle)))``, and of it the moment on the warping path, give or
    take ``window`` steps (Cheng et al. 2025). Raises DataError where the file is of other recordings.
    """

    def __init__(self, config: Pairing, source: Moments, target: Moments):
        self.window, self.source, self.target = config.window, source, target
        path = Path(config.file)
        if not path.is_file():
            raise ConfigError(f"There is no file of pairs {path}. Make it with: causeway pair SOURCE TARGET {path}")
        try:
            table = pq.read_table(path, columns=list(COLUMNS))
        except pa.ArrowInvalid:
            raise DataError(f"{path} is no file of pairs. Make it with: causeway pair SOURCE TARGET {path}") from None
        self.by: list[str] = json.loads((table.schema.metadata or {}).get(b"pairs", b'{"by": []}'))["by"]
        self.paths = _paths(table)
        sides = zip(("source", "target"), self.paths.lengths, (source, target))
        self.rows = self._known(*(_numbers(path, table[key].to_pylist(), n, side) for key, n, side in sides))
        for episode in np.unique(target.episode[target.rows]):
            if not (self.rows[episode] >= 0).any():
                lacking = target.episode_names[episode]
                raise DataError(f"{path} has no pair for episode {lacking} of the target that training may use.")
        self.up_to = self._shares(config, table["distance"].to_numpy()).cumsum(1)
        self.length = np.bincount(source.episode, minlength=len(source.episode_names))
        self.first = [np.searchsorted(side.episode, np.arange(len(side.episode_names))) for side in (source, target)]

    def _known(self, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """(target episodes, source episodes) the row of the file, -1 where there is none that training may use."""
        rows = np.full((len(self.target.episode_names), len(self.source.episode_names)), -1)
        trained = np.isin(np.arange(rows.shape[1]), self.source.episode[self.source.rows])
        usable = (sources >= 0) & (targets >= 0) & trained[sources]
        rows[targets[usable], sources[usable]] = np.flatnonzero(usable)
        return rows

    def _shares(self, config: Pairing, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """(target episodes, source episodes) how likely a source episode is, given the target episode."""
        likely = -np.logaddexp(0, config.sharpness * (distance[self.rows] - config.middle))
        likely = np.where(self.rows >= 0, likely, -np.inf)
        share = np.exp(likely - likely.max(1, keepdims=True, initial=-1e300))
        return np.asarray(share / share.sum(1, keepdims=True).clip(1e-300))

    def draw(self, rng: np.random.Generator, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which of the source's moments go with which of the target's: two times ``count`` places in either set."""
        theirs = rng.integers(len(self.target), size=count)
        frame = self.target.rows[theirs]
        episode = self.target.episode[frame]
        ours = (self.up_to[episode] <= rng.random(count)[:, None]).sum(1).clip(max=self.up_to.shape[1] - 1)
        at = self.paths.place[self.rows[episode, ours]] + frame - self.first[1][episode]
        step = rng.integers(self.paths.low[at], self.paths.high[at] + 1)
        step += rng.integers(-self.window, self.window + 1, size=count)
        step = step.clip(0, self.length[ours] - 1)
        return self._nearest(self.first[0][ours] + step, ours), theirs

    def _nearest(self, frame: NDArray[np.int64], episode: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places of the source's moments nearest to ``frame`` in the same ``episode``: others may be held back."""
        rows = self.source.rows
        after = np.searchsorted(rows, frame).clip(max=len(rows) - 1)
        before = (after - 1).clip(min=0)
        gaps = [
            np.where(self.source.episode[rows[place]] == episode, np.abs(rows[place] - frame), np.inf)
            for place in (before, after)
        ]
        return np.where(gaps[0] < gaps[1], before, after)


def _numbers(path: Path, names: list[str], lengths: NDArray[np.int32], side: Moments) -> NDArray[np.int64]:
    """The numbers of the named episodes among those of ``side``, -1 for others."""
    known = {name: number for number, name in enumerate(side.episode_names)}
    found = np.array([known.get(name, -1) for name in names])
    counts = np.bincount(side.episode, minlength=len(known))
    wrong = np.flatnonzero((found >= 0) & (counts[found] != lengths))
    if len(wrong) or (found < 0).all():
        what = (
            f"episode {names[wrong[0]]} has {lengths[wrong[0]]} moments there"
            if len(wrong)
            else "no episode is known here"
        )
        raise DataError(f"{path} is of other recordings: {what}. Make it anew with causeway pair.")
    return found
