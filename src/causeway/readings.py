"""Numbers about sets of pictures, each with what it is on halves of them: so they get intervals and are compared."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .disk import whole
from .evaluate import LEVEL, Measure, student

FREE = (-math.inf, math.inf)  # of a difference
BOUNDS = (0.0, math.inf)  # of what is a mean of changes


class Reading(NamedTuple):
    """One number about two sets, and what it is on halves of them."""

    name: str
    version: int
    direction: str  # "higher" or "lower" is better
    unit: str
    bounds: tuple[float, float]  # between which it lies
    value: float
    drawn: NDArray[np.float64]  # (resamples,); nan where there are too few stretches to draw halves of

    @property
    def measure(self) -> Measure:
        """The number with its 95 % interval."""
        return about(self.value, self.drawn, self.bounds)


class Report(NamedTuple):
    """Everything measured of A, of the reference B, and of A redrawn if it was."""

    encoder: str
    counts: tuple[int, int]  # pictures of A and of B
    readings: Mapping[str, Reading]  # by their names
    changed: Mapping[str, NDArray[np.float64]]  # by validator, how much the content of each picture of A changed
    channels: NDArray[np.float64]  # (D,) share of the distance of the mean features that each channel carries, A to B
    word: str = ""  # for the two sets and how they were looked at: reports of one word can be compared
    asked: str = ""  # the settings that a run was measured by, in a line


def about(value: float, drawn: NDArray[np.float64], bounds: tuple[float, float]) -> Measure:
    """A number with its interval, by the spread of what it is on halves about their own mean; never without the number
    itself, as where the few halves that differ are all on one side."""
    if not np.isfinite(drawn).all():
        return Measure(value, math.nan, math.nan)
    low, high = value - drawn.mean() + np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = min(low, value), max(high, value)
    return Measure(value, float(np.clip(low, *bounds)), float(np.clip(high, *bounds)))


def average(runs: Sequence[Reading]) -> Measure:
    """One number over several runs: its mean, and the hull of the pictures' interval and of Student's over the runs."""
    values = [each.value for each in runs]
    found = about(float(np.mean(values)), np.mean([each.drawn for each in runs], 0), runs[0].bounds)
    return _hull(found, values, runs[0].bounds)


def difference(pairs: Sequence[tuple[Reading, Reading]]) -> Measure:
    """Ours minus theirs, run by run and half by half, which are the same pictures for both."""
    values = [ours.value - theirs.value for ours, theirs in pairs]
    drawn = np.mean([ours.drawn - theirs.drawn for ours, theirs in pairs], 0)
    return _hull(about(float(np.mean(values)), drawn, FREE), values, FREE)


def _hull(found: Measure, values: Sequence[float], bounds: tuple[float, float]) -> Measure:
    if math.isnan(found.low):
        return found
    low, high = np.clip(student(values), *bounds)
    return Measure(found.value, min(found.low, float(low)), max(found.high, float(high)))


def closed(name: str, before: Reading, after: Reading) -> Reading:
    """The share of the way that was closed, in per cent."""
    shares = [100 * (1 - new / old) if old else math.nan for new, old in zip(after.drawn, before.drawn)]
    share = 100 * (1 - after.value / before.value) if before.value else math.nan
    most = math.inf if before.bounds[0] < 0 else 100.0  # what is unbiased can be below 0
    return Reading(name, before.version, "higher", "%", (-math.inf, most), share, np.array(shares))


def mean_of(each: NDArray[np.float64], half: NDArray[np.bool_]) -> float:
    """The mean over a half of what is known."""
    known = each[half & np.isfinite(each)]
    return float(known.mean()) if len(known) else math.nan


def save(path: Path, report: Report) -> None:
    """A report as one ``.npz``: arrays, and a JSON line of everything else."""
    head = {"encoder": report.encoder, "counts": report.counts, "changed": list(report.changed)}
    head |= {"word": report.word, "asked": report.asked}
    head["readings"] = [each[:6] for each in report.readings.values()]
    arrays = {f"drawn/{number}": each.drawn for number, each in enumerate(report.readings.values())}
    arrays |= {f"changed/{name}": each for name, each in report.changed.items()} | {"channels": report.channels}
    with whole(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, head=np.array(json.dumps(head)), **arrays)  # type: ignore[arg-type]


def load(path: Path) -> Report:
    """The report that ``save`` wrote."""
    with np.load(path) as arrays:
        head = json.loads(str(arrays["head"]))
        readings = (
            Reading._make([*told[:4], tuple(told[4]), told[5], arrays[f"drawn/{number}"]])
            for number, told in enumerate(head["readings"])
        )
        changed = {name: arrays[f"changed/{name}"] for name in head["changed"]}
        named, counts = {each.name: each for each in readings}, tuple(head["counts"])
        words = head.get("word", ""), head.get("asked", "")
        return Report(head["encoder"], counts, named, changed, arrays["channels"], *words)


def asked(path: Path) -> str:
    """The settings, in a line, that the report in ``path`` was measured by; "" where an earlier version wrote it."""
    with np.load(path) as arrays:
        return str(json.loads(str(arrays["head"])).get("asked", ""))
