"""How far two sets of pictures lie apart, how much of that a bridge closes, and what it costs: every number with what
it is on halves of the pictures, from which intervals and comparisons are made."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from .data import Moments
from .distances import Distance, Rows, products
from .encoders import Encoder, Look, floats, pixels
from .errors import ConfigError, DataError
from .halves import FEWEST, Halves
from .progress import track
from .readings import BOUNDS, Reading, Report, closed, mean_of
from .room import roomy
from .validators import Validator

Seen = NDArray[np.float32]  # (N, V * D), what a distance keeps of N moments
CHUNK = 8  # pictures looked at at once
CLIP = 8  # moments that are taken together, where not all are: flicker needs neighbours


@dataclass(frozen=True)
class Comparison:
    """What looks at how many pictures, and how surely."""

    encoder: Any = field(default_factory=pixels.Config)  # whose features are compared
    validators: Any = field(default_factory=dict)  # tables by name, beside those of the catalog that need no settings
    pictures: int = 1000  # of each side at most, spread evenly in short clips; more are surer, slower
    resamples: int = 200  # halves that are drawn for intervals and noise floors
    stretch_s: float = 2.0  # moments this near together are drawn together: neighbours are nearly the same picture

    def __post_init__(self) -> None:
        if self.pictures < 2 or self.resamples < 10 or self.stretch_s <= 0:
            raise ConfigError("needs pictures of 2 or more, resamples of 10 or more, and stretch_s above 0.")


class Instruments(NamedTuple):
    """What measures."""

    encoder: Encoder
    distances: Mapping[str, Distance]
    validators: Mapping[str, Validator]


def compare(
    settings: Comparison, tools: Instruments, ours: Moments, theirs: Moments, redrawn: NDArray[np.uint8] | None = None
) -> Report:
    """The gap from ``ours`` (A) to the reference ``theirs`` (B), and from ``redrawn``, (N, V, 3, H, W), which shows the
    N moments of ``ours`` one by one. Take both from ``chosen``. Raises DataError where there are too few pictures.
    """
    for name, side in (("A", ours), ("B", theirs)):
        if not len(side):
            raise DataError(f"{name} holds no pictures to compare.")
    if ours.frames.shape[1:] != theirs.frames.shape[1:]:
        raise DataError(f"A has {ours.frames.shape[1]} cameras and B {theirs.frames.shape[1]}: choose as many of each.")
    fitting = {
        name: distance for name, distance in tools.distances.items() if min(len(ours), len(theirs)) >= distance.fewest
    }
    if not fitting:
        raise DataError(f"A holds {_pictures(ours)} and B {_pictures(theirs)}: a set to compare has 2 at least.")
    halves = Halves(ours, theirs, settings.stretch_s, settings.resamples)
    a, b = (_look(tools, fitting, _shown(side), name) for side, name in ((ours, "A"), (theirs, "B")))
    c = None if redrawn is None else _look(tools, fitting, redrawn, "A redrawn", _shown(ours))
    readings = []
    for name, distance in track(list(fitting.items()), "resampling", "distances"):
        readings += _readings(name, distance, a.rows[name], b.rows[name], c and c.rows[name], halves)
    changed = c.changed if c else {}
    if c is not None:
        readings.append(_directional(a.vectors, b.vectors, c.vectors, halves))
        if tools.encoder.way is not None:
            readings.append(_worded(a.vectors, c.vectors, tools.encoder.way, halves))
    for name, each in changed.items():
        known = f"{name}_changed", tools.validators[name].version, "lower", tools.validators[name].unit, BOUNDS
        readings.append(Reading(*known, float(each.mean()), halves.of_ours(partial(mean_of, each))))
    if redrawn is not None and (flicker := _flicker(ours, redrawn, halves)):
        readings.append(flicker)
    channels = carriers(a.vectors, b.vectors)
    counts, named = (len(ours), len(theirs)), {each.name: each for each in readings}
    return Report(tools.encoder.name, counts, named, changed, channels, _word(settings, ours, theirs))


def _word(settings: Comparison, ours: Moments, theirs: Moments) -> str:
    """A word that changes with what is looked at, wherever it lies, and how."""
    word = hashlib.sha256(json.dumps(unusual(settings), sort_keys=True).encode())
    for side in (ours, theirs):
        when = side.time_s[side.rows].tobytes() + side.episode[side.rows].tobytes()  # by which halves are drawn
        word.update(_shown(side).tobytes() + side.rows.tobytes() + when)
    return word.hexdigest()[:16]


def unusual(settings: Any) -> dict[str, Any]:
    """What of a Config is not as its defaults are, files by their last names: for words that outlive both."""
    told: dict[str, Any] = {}
    for f in fields(settings):
        value = getattr(settings, f.name)
        if value == (f.default if f.default_factory is MISSING else f.default_factory()):
            continue
        if is_dataclass(value):
            told[f.name] = {"name": type(value).__module__.rsplit(".", 1)[-1], **unusual(value)}
        else:
            told[f.name] = Path(value).name if isinstance(value, str) else value
    return told


def chosen(moments: Moments, most: int) -> Moments:
    """At most ``most`` of the moments, in short clips spread evenly."""
    if len(moments) <= most:
        return moments
    length = min(CLIP, max(1, most // FEWEST))
    begins = np.linspace(0, len(moments) - length, most // length).astype(np.int64)
    return moments.select(np.unique(begins[:, None] + np.arange(length)))


def carriers(ours: Rows, theirs: Rows) -> NDArray[np.float64]:
    """(D,) the share of the distance of the means, in units of the spread within a set, that each channel carries."""
    spread = (ours.var(0) + theirs.var(0)) / 2
    apart = np.square(ours.mean(0) - theirs.mean(0)) / np.where(spread > 1e-12, spread, np.inf)
    shares: NDArray[np.float64] = apart / max(apart.sum(), 1e-300)
    return shares


# --- numbers ---------------------------------------------------------------------------------------------------------


def _readings(name: str, distance: Distance, a: Seen, b: Seen, c: Seen | None, halves: Halves) -> list[Reading]:
    """From A to B; from A redrawn, and the share of the way that was closed; and B from itself, the noise floor."""
    known = distance.version, "lower", distance.unit, distance.bounds
    theirs = products(b, b)

    def reading(called: str, rows: Seen) -> Reading:
        own, across = products(rows, rows), products(rows, b)

        def of(i: NDArray[np.bool_], j: NDArray[np.bool_]) -> float:
            return distance.between(own[np.ix_(i, i)], theirs[np.ix_(j, j)], across[np.ix_(i, j)])

        return Reading(called, *known, distance.between(own, theirs, across), halves.of_both(of))

    def itself(j: NDArray[np.bool_]) -> float:
        return distance.between(theirs[np.ix_(j, j)], theirs[np.ix_(~j, ~j)], theirs[np.ix_(j, ~j)])

    before, floors = reading(f"{name}_before", a), halves.of_theirs(itself)
    floor = Reading(f"{name}_floor", *known, float(floors.mean()), floors)
    if c is None:
        return [before, floor]
    after = reading(name, c)
    return [before, after, closed(f"{name}_closed", before, after), floor]


def _directional(a: Rows, b: Rows, c: Rows, halves: Halves) -> Reading:
    """Whether each picture went the way from A to B: the mean cosine of how its vector moved with that of the means.

    Directional similarity (Gal et al. 2022) with B's pictures for the text; CLIP's where CLIP is the encoder. A picture
    that stays where it was went nowhere: 0.
    """
    moved = _unit(c - a)

    def along(i: NDArray[np.bool_], j: NDArray[np.bool_]) -> float:
        way = b[j].mean(0) - a[i].mean(0)
        return float((moved[i] @ way).mean() / max(np.linalg.norm(way), 1e-12))

    value = along(np.ones(len(a), bool), np.ones(len(b), bool))
    return Reading("directional", 1, "higher", "", (-1.0, 1.0), value, halves.of_both(along))


def _worded(a: Rows, c: Rows, way: NDArray[np.float32], halves: Halves) -> Reading:
    """The directional similarity of Gal et al. (2022): the mean cosine of how a picture's vector, of length 1, moved
    with the ``way`` (D,) that words say, of the N moments of A and their V cameras."""
    start, end = (rows.reshape(len(rows), -1, len(way)) for rows in (a, c))
    moved = _unit(end) - _unit(start)
    each = (_unit(moved) @ way).mean(1)
    value = float(each.mean())
    return Reading("directional_words", 1, "higher", "", (-1.0, 1.0), value, halves.of_ours(partial(mean_of, each)))


def _unit(rows: Rows) -> Rows:
    """Rows of length 1, but those of length 0."""
    found: Rows = rows / np.linalg.norm(rows, axis=-1, keepdims=True).clip(1e-12)
    return found


def _flicker(ours: Moments, redrawn: NDArray[np.uint8], halves: Halves) -> Reading | None:
    """What of a redrawn clip's change from one moment to the next the clip's own change does not explain.

    ``mean |dy - s dx|`` in grey levels of 255, with the slope s that fits best for each pair of moments; 0 for a change
    of contrast or colour that is the same all along. None where no two moments follow each other.
    """
    rows = ours.rows
    pairs = np.concatenate([clip[:-1] for clip in ours.clips()])
    if not len(pairs):
        return None
    each = np.full(len(rows), math.nan)
    for start in range(0, len(pairs), CHUNK):
        first = pairs[start : start + CHUNK]
        dx, dy = (
            (frames[second].astype(np.float32) - frames[before].astype(np.float32)).reshape(len(first), -1)
            for frames, second, before in ((ours.frames, rows[first + 1], rows[first]), (redrawn, first + 1, first))
        )
        slope = (dx * dy).sum(1) / np.maximum(np.square(dx).sum(1), 1e-6)
        each[first] = np.abs(dy - slope[:, None] * dx).mean(1)
    return Reading(
        "flicker", 1, "lower", "grey levels", BOUNDS, float(np.nanmean(each)), halves.of_ours(partial(mean_of, each))
    )


# --- looks -----------------------------------------------------------------------------------------------------------


class Looked(NamedTuple):
    """What is kept of N moments, their cameras side by side."""

    vectors: NDArray[np.float64]  # (N, V * D)
    rows: dict[str, Seen]  # by distance
    changed: dict[str, NDArray[np.float64]]  # by validator, (N,), the mean over cameras; of redrawn ones alone


@roomy("No memory to look at pictures", "lower picture's height and width, or choose a smaller gap.encoder.")
@torch.inference_mode()
def _look(
    tools: Instruments,
    distances: Mapping[str, Distance],
    frames: NDArray[np.uint8],
    name: str,
    before: NDArray[np.uint8] | None = None,
) -> Looked:
    """At each moment of ``frames`` (N, V, 3, H, W), and at what it was ``before`` if that was another."""
    vectors: list[NDArray[np.float64]] = []
    rows: dict[str, list[Seen]] = {key: [] for key in distances}
    changed: dict[str, list[NDArray[np.float64]]] = {key: [] for key in tools.validators} if before is not None else {}
    for start in track(range(0, len(frames), CHUNK), f"looking at {name}", f"x{CHUNK} pictures"):
        part = slice(start, start + CHUNK)
        look, count = Look(tools.encoder, floats(frames[part])), len(frames[part])
        vectors.append(look.vectors.view(count, -1).double().numpy())
        for key, distance in distances.items():
            rows[key].append(distance.rows(look).view(count, -1).numpy())
        if before is not None:
            old = Look(tools.encoder, floats(before[part]))
            for key, each in changed.items():
                each.append(tools.validators[key](old, look).view(count, -1).mean(1).double().numpy())
    joined = {key: np.concatenate(parts) for key, parts in changed.items()}
    return Looked(np.concatenate(vectors), {key: np.concatenate(parts) for key, parts in rows.items()}, joined)


def _shown(moments: Moments) -> NDArray[np.uint8]:
    return moments.frames[moments.rows]


def _pictures(moments: Moments) -> str:
    return f"{len(moments)} picture{'s' * (len(moments) != 1)}"
