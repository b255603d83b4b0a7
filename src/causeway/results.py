"""The table of a study: every arm, beside the baseline on the same episodes and seeds."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from . import evaluate, readings
from .disk import whole
from .evaluate import Measure
from .metrics import Metric, Trace
from .readings import Report
from .study import Study

T = TypeVar("T")
ABOUT = ("_before", "_floor")  # readings that no bridge changes


class Row(NamedTuple):
    """One line of the table: an arm at a point of the sweep, over all seeds, in one metric."""

    arm: str
    point: str
    metric: str
    version: int
    direction: str
    unit: str
    seeds: int
    episodes: int
    failed: int  # episodes that crashed: counted, not scored
    measure: Measure
    against: Measure | None  # minus the baseline at the same point, paired
    verdict: str
    by_seed: tuple[float, ...]  # the metric of each run alone


def table(study: Study, metrics: Mapping[str, Metric]) -> list[Row]:
    """Every arm, point and metric over the finished seeds, each beside the baseline at the same point."""
    traces: dict[tuple[str, str], dict[int, list[Trace]]] = {}
    for p in study.runs:
        if p.run.driven:
            traces.setdefault((p.arm, p.label), {})[p.run.experiment.seed] = p.run.traces
    rows = []
    for (arm, label), by_seed in traces.items():
        base = {} if arm == study.baseline else _baseline(study, label, traces)
        shared = sorted(by_seed.keys() & base.keys())  # a run is compared with the baseline's of its own seed
        ours, theirs = [by_seed[seed] for seed in shared], [base[seed] for seed in shared]
        runs = list(by_seed.values())
        for name, measured in evaluate.measure(runs, metrics).items():
            metric = metrics[name]
            against = evaluate.difference(ours, theirs, metric) if shared else None
            crashed = sum(1 for run_traces in runs for trace in metric.chosen(run_traces) if trace.error)
            count = sum(len(metric.chosen(run_traces)) for run_traces in runs)
            counts = len(runs), count, crashed
            about = name, metric.version, metric.direction, metric.unit
            own = tuple(metric.measure(evaluate.scored(run_traces)) for run_traces in runs)
            rows.append(Row(arm, label, *about, *counts, measured, against, verdict(against, metric.direction), own))
    return rows + bridges(study)


def bridges(study: Study) -> list[Row]:
    """What the runs that left a bridge are measured by, beside the baseline's where that is of the same pictures."""
    reports: dict[tuple[str, str], dict[int, Report]] = {}
    for p in study.runs:
        if p.run.measured:
            found = readings.load(p.run.folder / "gap.npz")
            reports.setdefault((p.arm, p.label), {})[p.run.experiment.seed] = found
    rows = []
    for (arm, label), by_seed in reports.items():
        base = {} if arm == study.baseline else _baseline(study, label, reports)
        own = [report.readings for report in by_seed.values()]
        both = [(by_seed[seed], base[seed]) for seed in sorted(by_seed.keys() & base.keys())]
        alike = all(ours.word == theirs.word for ours, theirs in both)  # some seeds' difference would pass for all's
        shared = [(ours.readings, theirs.readings) for ours, theirs in both] if alike else []
        count = sum(report.counts[0] for report in by_seed.values())
        for name, first in own[0].items():
            if name.endswith(ABOUT) or not all(name in each for each in (*own, *(theirs for _, theirs in shared))):
                continue
            pairs = [(ours[name], theirs[name]) for ours, theirs in shared]
            same = all(ours.version == theirs.version for ours, theirs in pairs)
            against = readings.difference(pairs) if pairs and same else None
            read = [each[name] for each in own]
            if any(math.isnan(each.value) for each in read):  # a share of no gap at all
                continue
            about = name, first.version, first.direction, first.unit, len(own), count, 0
            values = tuple(each.value for each in read)
            rows.append(
                Row(arm, label, *about, readings.average(read), against, verdict(against, first.direction), values)
            )
    return rows


def _baseline(study: Study, label: str, tested: Mapping[tuple[str, str], dict[int, T]]) -> dict[int, T]:
    """The baseline at the same point, or wherever it stands if it has but one point."""
    if (study.baseline, label) in tested:
        return tested[study.baseline, label]
    own = [runs for (arm, _), runs in tested.items() if arm == study.baseline]
    return own[0] if len(own) == 1 else {}


def verdict(against: Measure | None, direction: str) -> str:
    """What the interval of a difference allows us to say."""
    if against is None:
        return ""
    if math.isnan(against.low):
        return "too few to tell"
    if against.low <= 0 <= against.high:
        return "no difference shown"
    return "better" if (against.value > 0) == (direction == "higher") else "worse"


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """``results.csv``: one line a row, numbers in full."""
    numbers = ["value", "low", "high", "difference", "difference_low", "difference_high"]
    head = [*Row._fields[:9], *numbers, "verdict", "by_seed"]
    with whole(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(head)
        for row in rows:
            by_seed = " ".join(map(repr, row.by_seed))
            lines.writerow([*row[:9], *row.measure, *(row.against or ("", "", "")), row.verdict, by_seed])
