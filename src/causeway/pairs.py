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
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from .datasets import Dataset, twins
from .disk import exclusive, whole
from .errors import ConfigError, DataError, nearest
from .progress import counted
from .warping import warp

TOGETHER, ROOM = 128, 2**28  # source episodes that go along a target episode at once, and cells that they may have
LONGEST = 2**31  # cells of a single pair: 2 GB for the moves that lead to them
STILL = 1e-6  # a number that spreads less is constant
COLUMNS = ("source", "target", "distance", "source_step", "target_step")
UNITS = 40.0  # a number that spreads so many times more on one side is in other units there: a radian has 57 degrees


def pair(source: Dataset, target: Dataset, path: Path, by: Sequence[str] = (), jobs: int = 1) -> NDArray[np.float64]:
    """Write the pairs of every source with every target episode to ``path``; their distances (target, source episodes).

    ``by`` names what is compared: of the state or actions that both sides have; all of the state when it names nothing,
    or the actions where there is no state. Raises DataError where that is missing, not a number, constant on both
    sides, or in other units, and ConfigError where ``path`` is no ``.parquet``, or one of anything but pairs. A killed
    call goes on with the target episodes that are not done.
    """
    if path.suffix != ".parquet" or path.is_dir():
        raise ConfigError(f"Pairs are written to a parquet file: name it, such as {path.with_suffix('.parquet')}.")
    if path.exists() and not _holds_pairs(path):
        raise ConfigError(f"{path} is there already and is no file of pairs: it is not overwritten. Name another.")
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
            distances = _joined(files, temporary)
        for file in files:
            file.unlink()
        parts.rmdir()
    return distances


def _holds_pairs(path: Path) -> bool:
    try:
        return set(COLUMNS) <= set(pq.read_schema(path).names)
    except pa.ArrowInvalid:
        return False


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
    if fault := next(twins(side.episodes), ""):
        raise DataError(f"{side.root} {fault}: pairs go by name.")
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


def other_units(names: Sequence[str], ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> str:
    """The first of the named numbers whose spreads, (K,) in the source and in the target, look like other units; "" if
    none does."""
    for name, one, other in zip(names, ours, theirs):
        if min(one, other) > STILL and max(one, other) > UNITS * min(one, other):
            where = "source" if one > other else "target"
            times = max(one, other) / min(one, other)
            return f"{name} spreads {times:.0f} times more in the {where}: are its units the same?"
    return ""


def _scaled(
    names: Sequence[str], ours: Sequence[NDArray[np.float32]], theirs: Sequence[NDArray[np.float32]]
) -> tuple[list[str], list[int], NDArray[np.float64]]:
    """The names and columns that are not constant on both sides, and their spread over both."""
    a, b = (np.concatenate(side).astype(np.float64) for side in (ours, theirs))
    spreads = np.stack([a.std(0), b.std(0)])
    if found := other_units(names, *spreads):
        raise DataError(f"{found} If they are, leave it out with --by.")
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


def _joined(files: Sequence[Path], path: Path) -> NDArray[np.float64]:
    """The rows of all ``files`` in one; their distances, a row each."""
    distances = []
    with pq.ParquetWriter(path, pq.read_schema(files[0])) as into:
        for file in files:
            table = pq.read_table(file)
            into.write_table(table)
            distances.append(table["distance"].to_numpy())
    return np.stack(distances)
