"""One self-contained HTML page of a gap: how wide it is, how much of it is closed, at what cost, and in pictures."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import config
from .between import Compared
from .data import Moments
from .disk import whole
from .evaluate import LEVEL, Measure
from .page import command, render
from .pictures import enlarged, picture, uri
from .ranking import Ranking
from .readings import Reading, Report

SHOWN = 3  # pictures of each kind
WIDTH = 340  # pixels of a picture
LEADS = ("cmmd", "kernel", "frechet", "style")  # what the page speaks of first, needing few pictures first
ACTED = {  # what a policy makes of it, in words
    "policy_changed": "what redrawing changes of the policy's action on the same moment, on average",
    "policy_error_before": "how far the policy is from what was recorded on A, on average",
    "policy_error": "the same on what it would see",
}
CHANNELS = 8  # that are listed
LOST = 0.5  # change of edges from which on a page warns that content may be gone
FEW = 100  # pictures below which a set says little of a domain


class Line(NamedTuple):
    """One distance, as the table shows it."""

    name: str
    unit: str
    before: Measure
    after: Measure | None
    closed: Measure | None
    floor: Measure

    @property
    def verdict(self) -> str:
        """Whether the sets are shown to differ by more than the reference differs from itself."""
        return self._above(self.before, "a gap", "no gap shown")

    @property
    def left(self) -> str:
        """The same of what is left of a gap."""
        if self.after is None or self.verdict != "a gap":
            return ""
        return self._above(self.after, "a gap is left", "none shown to be left")

    def _above(self, measure: Measure, yes: str, no: str) -> str:
        if math.isnan(self.floor.high) or math.isnan(measure.low):
            return "too few to tell"
        return yes if measure.low > self.floor.high else no


class Pair(NamedTuple):
    """A picture before and after, and how much of its content changed."""

    before: str
    after: str
    change: float


class Kept(NamedTuple):
    """One validator: its mean, and pictures from the most to the least changed."""

    name: str
    measure: Measure
    rows: dict[str, list[Pair]]


def lines(report: Report) -> list[Line]:
    """The distances of a report, a line each."""
    found = []
    for name, before in report.readings.items():
        short = name.removesuffix("_before")
        if short == name or f"{short}_floor" not in report.readings:
            continue
        after, closed = (report.readings.get(each) for each in (short, f"{short}_closed"))
        floor = spread(report.readings[f"{short}_floor"])
        found.append(
            Line(short, before.unit, before.measure, after and after.measure, closed and closed.measure, floor)
        )
    return found


def spread(floor: Reading) -> Measure:
    """A noise floor: its mean, and where 95 % of the halves lie."""
    if not np.isfinite(floor.drawn).all():
        return Measure(math.nan, math.nan, math.nan)
    low, high = np.quantile(floor.drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Measure(floor.value, float(low), float(high))


def write(compared: Compared, names: tuple[str, str, str], path: Path, ranked: Sequence[Ranking] = ()) -> None:
    """Write the page of what was ``compared``: A, B, and what A went through, "" for nothing, by their ``names``; and
    of how policies are ``ranked`` on both sides."""
    report, ours, theirs, redrawn = compared
    table = lines(report)
    lead = next((line for name in LEADS for line in table if line.name == name), table[0])
    named = ("flicker", "directional", "directional_words")
    flicker, directional, worded = (report.readings.get(name) for name in named)
    order = np.argsort(report.channels)[::-1]
    shares = report.channels[order].cumsum()
    kept = [] if redrawn is None else [_kept(name, report, ours, redrawn) for name in report.changed]
    page: dict[str, Any] = {
        "a": names[0],
        "b": names[1],
        "through": names[2],
        "report": report,
        "lines": table,
        "lead": lead,
        "others": any(line.closed and line.closed.low > 0 for line in table),
        "leads": LEADS,
        "cautions": cautions(report, next((each.measure.value for each in kept if each.name == "edges"), 0.0)),
        "size": ours.frames.shape[:2:-1],
        "kept": kept,
        "flicker": flicker.measure if flicker else None,
        "directional": directional.measure if directional else None,
        "worded": worded.measure if worded else None,
        "acted": {name: each.measure for name, each in report.readings.items() if name in ACTED},
        "half": int(np.searchsorted(shares, 0.5)) + 1 if len(shares) and shares[-1] > 0 else 0,
        "channels": [(int(each), float(100 * report.channels[each])) for each in order[:CHANNELS]],
        "about": {line.name: words for line in table if (words := config.summary("distance", line.name))},
        "samples": {"A": _samples(ours), "B": _samples(theirs)},
        "figure": figure,
        "within": within,
        "meaning": ACTED,
        "ranked": ranked,
        "command": command(),
    }
    with whole(path) as temporary:
        temporary.write_text(render("gap.html", page), encoding="utf-8")


def cautions(report: Report, edges: float, whose: str = "") -> list[str]:
    """What to keep in mind of a gap that is closed: content that is gone, by the mean change of ``edges`` and ``whose``
    that is, few pictures, eyes that know nothing."""
    said = []
    if edges > LOST:
        what = f"Edges of {whose}" if whose else "Edges"
        said.append(
            f"{what} changed by {figure(edges)}: what the pictures show may be gone. Look at what changed before you "
            "believe a gap that is closed."
        )
    if (count := min(report.counts)) < FEW:
        said.append(
            f"{count} pictures say little of a domain: the intervals tell how much these pictures settle, not what "
            "others would show."
        )
    if "random" in report.encoder or "no network" in report.encoder:
        said.append(
            f"Seen by {report.encoder}: colours and textures alone, of no meaning. Name an encoder with weights for "
            "more, such as gap.encoder=squeezenet gap.encoder.weights=FILE."
        )
    return said


def figure(value: float) -> str:
    """Three significant digits."""
    if math.isnan(value):
        return "–"
    plain = f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}".replace("e+0", "e").replace("e+", "e")
    return plain.replace("-", "−")


def within(measure: Measure) -> str:
    """The interval in brackets, or a dash where there are too few pictures for one."""
    return "–" if math.isnan(measure.low) else f"[{figure(measure.low)}, {figure(measure.high)}]"


def _kept(name: str, report: Report, ours: Moments, redrawn: NDArray[np.uint8]) -> Kept:
    change = report.changed[name]
    order = np.argsort(change)[::-1]
    count = min(SHOWN, len(order))
    middle = (len(order) - count) // 2
    places = {"most changed": order[:count], "median": order[middle : middle + count], "least changed": order[-count:]}
    rows = {
        word: [Pair(_uri(ours.frames[ours.rows[i]]), _uri(redrawn[i]), float(change[i])) for i in chosen]
        for word, chosen in places.items()
    }
    return Kept(name, report.readings[f"{name}_changed"].measure, rows)


def _samples(moments: Moments) -> list[str]:
    places = np.unique(np.linspace(0, len(moments) - 1, 4).astype(np.int64))
    return [_uri(moments.frames[moments.rows[place]]) for place in places]


def _uri(images: NDArray[np.uint8]) -> str:
    return uri(enlarged(picture(images), WIDTH * len(images)))
