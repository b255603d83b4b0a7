"""What the rows of a study say: which arm came out best, in which metric, by how much, and how sure that is."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from . import written
from .evaluate import Measure
from .links import Planned
from .metrics import Trace
from .results import Row
from .study import Study

FIRST = ("success", "correlation", "completion", "cmmd_closed")  # read first where measured, unless one is named
ENOUGH_SEEDS = 3  # fewer say nothing of how far trainings differ
EVIDENCE = ("better", "worse")  # verdicts that say something; any other says that nothing is shown


class Tested(NamedTuple):
    """A finished run, its traces read once."""

    planned: Planned
    traces: list[Trace]


class Finding(NamedTuple):
    """What the page is about: one metric, at one point of the sweep, the best arm there and the baseline."""

    metric: str
    point: str
    best: Row  # the best arm other than the baseline; the baseline where there is no other
    base: Row | None


class Interval(NamedTuple):
    """One line of a forest plot, in per cent of its width."""

    row: Row
    low: float
    value: float
    high: float


class Forest(NamedTuple):
    """Values and intervals of some rows on one axis."""

    lines: list[Interval]
    ticks: list[tuple[float, str]]
    base: tuple[float, float, float] | None  # the baseline's low, value and high


def find(study: Study, rows: Sequence[Row]) -> Finding | None:
    """The finding of a study, None where nothing is measured yet.

    The point is the one where most arms stand, of several the first: with the least of the target, as a rule. Test
    numbers choose the best arm: that describes this test, it is no selection to rely on.
    """
    metrics = list(dict.fromkeys(row.metric for row in rows))
    if not metrics:
        return None
    metric = next((name for name in (study.headline, *FIRST) if name in metrics), metrics[0])
    of_metric = [row for row in rows if row.metric == metric]
    others = [row for row in of_metric if row.arm != study.baseline] or of_metric
    stand = Counter(row.point for row in others)
    most = max(stand.values())
    point = next(label for label in points(study) if stand[label] == most)
    best = leader([row for row in others if row.point == point])
    return Finding(metric, point, best, baseline_row(study, of_metric, point))


def action(study: Study, found: Finding, tested: Sequence[Tested]) -> str:
    """The action that the finding's metric is of; "" where it is of none, or nobody has named the actions."""
    index: int | str = getattr(study.metrics.get(found.metric), "index", "")
    names = next((trace.names for one in tested for trace in one.traces if trace.names), ())
    if isinstance(index, str):
        return index
    return names[index] if index < len(names) else ""


def points(study: Study) -> list[str]:
    """The points of the sweep, least first when they are numbers, else in the order of the file."""
    found = dict.fromkeys((p.label, tuple(value for _, value in p.point)) for p in study.runs)
    try:
        ordered = sorted(found, key=lambda pair: [float("inf") if v == "all" else float(v) for v in pair[1]])
    except (TypeError, ValueError):
        ordered = list(found)
    return list(dict.fromkeys(label for label, _ in ordered))


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Rows of one metric, the best value first."""
    return sorted(rows, key=lambda row: -row.measure.value if row.direction == "higher" else row.measure.value)


def leader(rows: Sequence[Row]) -> Row:
    """The best of those rows that are shown to be better than the baseline; where there are none, the best of all."""
    return ranked([row for row in rows if row.verdict == "better"] or rows)[0]


def baseline_row(study: Study, rows: Sequence[Row], point: str) -> Row | None:
    """The baseline at ``point``, or wherever it stands if it has but one point: what the differences are to."""
    own = [row for row in rows if row.arm == study.baseline]
    here = [row for row in own if row.point == point]
    return here[0] if here else own[0] if len(own) == 1 else None


def arms(study: Study) -> list[str]:
    """The arms, the baseline first, then in the order of the file."""
    names = dict.fromkeys(p.arm for p in study.runs)
    return [study.baseline, *(name for name in names if name != study.baseline)]


def runs_of(tested: Sequence[Tested], arm: str, point: str) -> list[Tested]:
    """The finished runs of an arm at ``point``, or where it last stands, by seed."""
    own = [one for one in tested if one.planned.arm == arm]
    here = [one for one in own if one.planned.label == point] or [
        one for one in own if one.planned.label == own[-1].planned.label
    ]
    return sorted(here, key=lambda one: one.planned.run.experiment.seed)


def leaders(study: Study, rows: Sequence[Row]) -> list[Row]:
    """The best arm other than the baseline at every point where one stands, in one metric."""
    others = [row for row in rows if row.arm != study.baseline]
    here = [[row for row in others if row.point == point] for point in points(study)]
    return [leader(own) for own in here if own]


def headline(study: Study, found: Finding | None) -> tuple[Markup, Markup]:
    """One sentence for the whole study, and the numbers behind it."""
    if found is None:
        return Markup("Nothing is measured yet."), Markup("The page fills as runs are finished.")
    best, base = found.best, found.base
    us, them = (
        Markup('<b class="best">{}</b>').format(best.arm),
        Markup('<b class="base">{}</b>').format(study.baseline),
    )
    where = f" at {found.point}" if found.point else ""
    value = Markup("{} {} {}").format(found.metric, number(best.measure.value), interval(best.measure))
    if best.arm == study.baseline:
        return Markup("Only the baseline {} is measured so far.").format(them), value + where + "."
    if best.against is None or base is None:
        lead = Markup("{} is best on the target, but nothing is paired with the baseline {}.").format(us, them)
        need = "Differences need the same episodes, or pictures, in both"
        return lead, value + where + f". {need}: carry out that one, or name another as baseline."
    lead = {
        "better": Markup("{} is better than {} on the target."),
        "worse": Markup("No arm beats {1}: the best of the others, {0}, is worse."),
        "too few to tell": Markup("Too little was tested to tell {}, the best other arm, from the baseline {}."),
    }.get(best.verdict, Markup("No difference shown between {}, the best other arm, and the baseline {}."))
    known = f"95 % interval {signed(best.against.low)} to {signed(best.against.high)}"
    numbers = Markup("{} {} against {}{}: a difference of <strong>{}</strong>, {}.").format(
        found.metric.capitalize(), number(best.measure.value), number(base.measure.value), where,
        signed(best.against.value), known if sure(best.against) else "too few episodes or stretches for an interval",
    )  # fmt: skip
    return lead.format(us, them), numbers


def context(study: Study, rows: Sequence[Row], found: Finding) -> list[str]:
    """What the headline leaves out: the other arms, the runner-up, and what the intervals cannot know."""
    there = ranked([row for row in rows if (row.metric, row.point) == (found.metric, found.point)])
    compared = [row for row in there if row.against is not None]
    said = []
    if compared:
        counts = Counter(row.verdict for row in compared)
        words = [*EVIDENCE, *sorted(counts.keys() - set(EVIDENCE))]
        parts = [f"{counts[word]} {word}" for word in words if counts[word]]
        noun = "arm" if len(compared) == 1 else "arms"
        where = f" at {found.point}" if found.point else ""
        said.append(f"Of {len(compared)} {noun} compared with {study.baseline}{where}: {', '.join(parts)}.")
    elsewhere = [r for r in rows if (r.arm, r.point) == (found.best.arm, found.point) and r.metric != found.metric]
    if found.best.against is not None and elsewhere:
        verdicts = ", ".join(f"{row.metric} {row.verdict or 'not paired'}" for row in elsewhere)
        agree = all(row.verdict == found.best.verdict for row in elsewhere)
        how = ("agree on" if agree else "do not all agree on") if found.best.verdict in EVIDENCE else "say of"
        said.append(f"The other metrics {how} {found.best.arm}: {verdicts}.")
    others = [row for row in there if row.arm not in (found.best.arm, study.baseline)]
    if others and overlap(found.best, others[0]):
        pair = f"{found.best.arm} and {others[0].arm}"
        said.append(f"The intervals of {pair} overlap: this does not show which of the two is better.")
    if found.metric.endswith("_closed") and found.best.measure.high < 0:
        said.append(f"Even {found.best.arm} opens the gap: its {found.metric} is below 0.")
    if len(sizes := _sizes(study)) > 1:
        listed = "; ".join(f"{', '.join(own)} {height} x {width}" for (height, width), own in sizes.items())
        said.append(f"Gaps were measured on pictures of different sizes, which do not compare: {listed}.")
    if found.best.seeds < ENOUGH_SEEDS:
        count = "one seed" if found.best.seeds == 1 else f"{found.best.seeds} seeds"
        said.append(f"Trained with {count} only: the intervals hardly know how far two trainings of one arm differ.")
    said.append("The best arm was picked by its test score, which describes this test and flatters the winner.")
    return said


def _sizes(study: Study) -> dict[tuple[int, int], list[str]]:
    """The arms whose gaps were measured, by the height and width of their pictures."""
    pictures = {p.arm: p.run.experiment.picture for p in study.runs if p.run.measured}
    found: dict[tuple[int, int], list[str]] = {}
    for arm, picture in pictures.items():
        found.setdefault((picture.height, picture.width), []).append(arm)
    return found


def fault(planned: Planned) -> str:
    """The first line of the error that ended a run, "" where it is done or was never begun."""
    text = "" if planned.run.tested else str(getattr(planned.run, "error", ""))
    return next(iter(text.strip().splitlines()), "")


def failures(study: Study) -> list[str]:
    """A sentence for every arm, point and error that ended some of its runs."""
    runs = Counter((p.arm, p.label) for p in study.runs)
    ended = Counter((p.arm, p.label, fault(p)) for p in study.runs if fault(p))
    said = []
    for (arm, label, line), count in ended.items():
        seeds = runs[arm, label]
        share = f" in {count} of {seeds} seeds" if seeds > 1 else ""
        said.append(f"{arm}{f' at {label}' if label else ''} failed{share}: {line}")
    return said


def overlap(one: Row, other: Row) -> bool:
    """Whether two intervals share a value."""
    return one.measure.low <= other.measure.high and other.measure.low <= one.measure.high


def forest(study: Study, rows: Sequence[Row], point: str) -> Forest:
    """The rows of one metric at ``point``, the baseline on top, on an axis from tick to tick around all intervals."""
    from matplotlib.ticker import MaxNLocator

    order = arms(study)
    base = baseline_row(study, rows, point)
    shown = {row.arm: row for row in rows if row.point == point} | ({base.arm: base} if base else {})
    lines = sorted(shown.values(), key=lambda row: order.index(row.arm))
    spans = [[part for part in row.measure if math.isfinite(part)] for row in lines]
    least, most = min(map(min, spans)), max(map(max, spans))
    same = 0.5 * (least == most)
    ticks = [float(tick) for tick in MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(least - same, most + same)]
    room = 0.03 * (ticks[-1] - ticks[0])
    start, span = ticks[0] - room, ticks[-1] - ticks[0] + 2 * room

    def place(value: float) -> float:
        return round(100 * (value - start) / span, 2)

    placed = [(place(tick), f"{tick:.6g}".replace("-", "−")) for tick in ticks]
    drawn = zip(lines, spans)
    intervals = [Interval(row, place(min(span)), place(row.measure.value), place(max(span))) for row, span in drawn]
    own = next(((line.low, line.value, line.high) for line in intervals if line.row is base), None)
    return Forest(intervals, placed, own)


def ends(traces: Sequence[Trace]) -> Counter[str]:
    """How driven episodes ended, those whose program failed among them."""
    return Counter("error" if trace.error else trace.end for trace in traces if trace.error or trace.end)


def number(value: float) -> str:
    """A number with a minus as wide as a plus."""
    return written.number(value).replace("-", "−")


def sure(measure: Measure) -> bool:
    """Whether there was enough for an interval."""
    return math.isfinite(measure.low) and math.isfinite(measure.high)


def interval(measure: Measure, write: Callable[[float], str] = number) -> str:
    """The interval in brackets, or that there is none."""
    return f"[{write(measure.low)}, {write(measure.high)}]" if sure(measure) else "[no interval]"


def signed(value: float) -> str:
    """A difference, its sign always shown."""
    return ("+" if value >= 0 else "") + number(value)
