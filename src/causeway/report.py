"""One self-contained HTML page of a study: numbers, plots, pictures, clips, failures and settings."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w
from markupsafe import Markup

from . import film, findings, gallery, gap_page, plots, readings, run
from .disk import whole
from .findings import Finding, Tested, runs_of
from .page import command, render
from .results import Row
from .study import Study

CURVES = 3  # seeds of an arm whose learning is drawn
SKIPPED = ("loss", "seconds", "norm", "step")  # of the log: they say little about crossing
MEANINGS = {  # of logged terms, in plain words; others stand by their name alone
    "tune/source": "how far the predicted action is off, on average, on source moments kept for tuning",
    "tune/target": "how far the predicted action is off, on average, on target moments kept for tuning",
    "imitation/source": "loss of imitating the source's demonstrations, times their weight",
    "imitation/paired source": "the same on source moments drawn to go with target moments",
    "imitation/target": "loss of imitating the target's demonstrations, times their weight",
    "imitation/guessed": "loss of imitating the actions that a labeller guessed, times their weight",
    "alignment": "loss of the alignment between the features of the two domains, times its weight",
    "transported_mass": "share of the moments of a batch that transport pairs across the domains; 1 is all of them",
    "plan_entropy": "how spread out transport's pairs are, in nats; the log of the batch's size is one to one",
    "unmatched_source": "share of the source moments of a batch that transport leaves without a partner",
    "spread": "with how many target moments transport pairs a source moment; 1 is one to one",
    "probe_accuracy": "how often the discriminator names the right domain; 0.5 is chance, and what is aimed at",
    "strength": "how hard the features are pushed to fool the discriminator; it rises from 0",
}
OPEN_LOOP = "Open-loop error on recorded moments, which need not move with closed-loop success."
KINDS = ("tune/", "imitation/", "alignment")  # of logged terms, in the order of the page


class Ends(NamedTuple):
    """How the episodes of an arm at one point ended."""

    arm: str
    point: str
    counts: dict[str, int]


class Errors(NamedTuple):
    """How far an arm is off along the stretches of a recording."""

    arm: str
    median: float
    worst: float
    where: str


class Learned(NamedTuple):
    """One term of the log, drawn and explained."""

    drawn: Markup
    meaning: str


class Settings(NamedTuple):
    """What an arm's run was made with."""

    arm: str
    folder: str
    runs: int
    done: int
    changes: dict[str, Any]  # of the baseline's settings
    toml: str
    environment: str


def write(study: Study, rows: Sequence[Row], path: Path) -> None:
    """Write the page of ``study``, whose table is ``rows``, from what is done so far."""
    tested = [Tested(p, p.run.traces) for p in study.runs if p.run.driven]
    found, order = findings.find(study, rows), findings.arms(study)
    measured = [p for p in study.runs if p.run.measured]
    reports = [readings.load(p.run.folder / "gap.npz") for p in measured]
    first = min(zip(measured, reports), key=lambda pair: order.index(pair[0].arm), default=None)
    ground = gap_page.lines(first[1]) if first else []  # before any bridge: the same in all
    closed = any(p.run.experiment.target.simulator is not None for p in study.runs)  # driven, not along recordings
    lead, numbers = findings.headline(study, found)
    point = found.point if found else ""
    page: dict[str, Any] = {
        "study": study,
        "arms": order,
        "found": found,
        "lead": lead,
        "numbers": numbers,
        "said": [
            *findings.failures(study),
            *(_cautions(rows, found, ground, first[1]) if found and first else []),
            *(findings.context(study, rows, found) if found else []),
        ],
        "unsure": any(row.verdict == "too few to tell" for row in rows),
        "done": sum(p.run.tested for p in study.runs),
        "missing": [p.run.folder.name for p in study.runs if not p.run.tested],
        "faults": {p.run.folder.name: fault for p in study.runs if (fault := findings.fault(p))},
        "crashed": [(one.planned, trace) for one in tested for trace in one.traces if trace.error],
        "silent": _silent(study, tested, rows, order),
        "ends": (ended := _ends(tested, order) if closed else []),
        "ways": sorted({way for each in ended for way in each.counts}, key=_way),
        "action": findings.action(study, found, tested) if found else "",
        "errors": _errors(tested, point, order, findings.action(study, found, tested) if found else ""),
        "curves": _curves([*tested, *(Tested(p, []) for p in measured)], point, order, closed),
        "settings": _settings(study, tested, point),
        "command": command(),
        "bridges": {p.arm for p in measured},
        "ground": ground,
        "figure": gap_page.figure,
        "within": gap_page.within,
        "eyes": sorted({each.encoder for each in reports}),
    }
    if found:
        page |= _numbers(study, rows, found, order) | {"redrawn": gallery.crossed(study, order)}

        if runs_of(tested, found.best.arm, found.point):
            page |= gallery.hang(study, tested, found, order)._asdict()
    with whole(path) as temporary:
        temporary.write_text(render("report.html", page), encoding="utf-8")


def _cautions(
    rows: Sequence[Row], found: Finding, ground: Sequence[gap_page.Line], measured: readings.Report
) -> list[str]:
    """What to keep in mind where the finding is of a gap, of the ``ground`` before any bridge."""
    named = found.metric.removesuffix("_closed")
    line = next((line for line in ground if line.name == named), None)
    if line is None:
        return []
    said = []
    if line.verdict != "a gap":
        said.append(f"By {named} no gap is shown before any bridge: what an arm closes of it is no evidence.")
    key = found.best.arm, found.best.point, "edges_changed"
    edges = next((row.measure.value for row in rows if (row.arm, row.point, row.metric) == key), 0.0)
    return said + gap_page.cautions(measured, edges, found.best.arm)


def _numbers(study: Study, rows: Sequence[Row], found: Finding, order: list[str]) -> dict[str, Any]:
    """Every metric at the chosen point and over the sweep: the finding's metric first, the arms always in order."""
    metrics = sorted(dict.fromkeys(row.metric for row in rows), key=lambda name: name != found.metric)
    stops = findings.points(study)
    ordered = sorted(rows, key=lambda row: (order.index(row.arm), stops.index(row.point)))
    groups = {metric: [row for row in ordered if row.metric == metric] for metric in metrics}
    keys = {key for p in study.runs for key, _ in p.point}
    words = next(iter(keys)) if len(keys) == 1 else "point of the sweep"
    swept = groups if len(stops) > 1 else {}
    return {
        "groups": groups,
        "forests": {
            metric: findings.forest(study, own, found.point)
            for metric, own in groups.items()
            if any(row.point == found.point for row in own) or findings.baseline_row(study, own, found.point)
        },
        "sweeps": {metric: plots.sweep(own, order, stops, words) for metric, own in swept.items()},
        "leaders": findings.leaders(study, groups[found.metric]),
    }


def _ends(tested: Sequence[Tested], order: list[str]) -> list[Ends]:
    """The ends of driven episodes, and errors, by arm and point."""
    groups: dict[tuple[str, str], list[Tested]] = {}
    for one in tested:
        groups.setdefault((one.planned.arm, one.planned.label), []).append(one)
    counts = {key: findings.ends([trace for one in own for trace in one.traces]) for key, own in groups.items()}
    listed = [Ends(arm, point, dict(counted)) for (arm, point), counted in counts.items() if counted]
    return sorted(listed, key=lambda each: order.index(each.arm))


def _way(end: str) -> tuple[bool, bool, str]:
    """The order of the ways of ending: completed first, errors last."""
    return end != "completed", end == "error", end


def _errors(tested: Sequence[Tested], point: str, order: list[str], action: str) -> list[Errors]:
    """The error of one action along recordings, first seed of every arm: of the median stretch, and of the worst."""
    listed = []
    for arm in order:
        for one in runs_of(tested, arm, point)[:1]:
            index = film.drawn_action(next((trace.names for trace in one.traces), ()), action)
            own = sorted((film.error(trace, index), trace.name) for trace in film.stretches(one.traces))
            listed += [Errors(arm, own[len(own) // 2][0], *own[-1])] if own else []
    return listed


def _silent(
    study: Study, tested: Sequence[Tested], rows: Sequence[Row], order: list[str]
) -> list[tuple[str, str, str]]:
    """Arms without a number, and why: they stay in the table."""
    measured = {(row.arm, row.point) for row in rows}
    found: dict[tuple[str, str], str] = {}
    for p in study.runs:
        if (key := (p.arm, p.label)) in measured:
            continue
        traces = [t for one in tested if (one.planned.arm, one.planned.label) == key for t in one.traces]
        errors = sum(1 for trace in traces if trace.error)
        if traces:
            found[key] = f"no number: the program failed in {errors} of {len(traces)} episodes"
        elif fault := findings.fault(p):
            found[key] = f"failed: {fault}"
        else:
            other = (p.run.folder / "gap.npz").exists()
            why = "measured by other [gap] settings; causeway run measures it again" if other else "not run yet"
            found.setdefault(key, f"no number: {why}")
    return [(arm, point, why) for (arm, point), why in sorted(found.items(), key=lambda pair: order.index(pair[0][0]))]


def _curves(tested: Sequence[Tested], point: str, order: list[str], closed: bool) -> dict[str, Learned]:
    """Every logged term over the steps, at the finding's point, for a few seeds of every arm."""
    terms: dict[str, list[plots.Curve]] = {}
    for number, arm in enumerate(order):
        for one in runs_of(tested, arm, point)[:CURVES]:
            for name, (steps, values) in _log(one.planned.run.folder / "log.jsonl").items():
                terms.setdefault(name, []).append(plots.Curve(number, steps, values))

    def rank(name: str) -> tuple[int, str]:
        return next((place for place, kind in enumerate(KINDS) if name.startswith(kind)), len(KINDS)), name

    found = {}
    for name in sorted(terms, key=rank):
        meaning = MEANINGS.get(name, "")
        meaning += f". {OPEN_LOOP}" if closed and name == "tune/target" else ""
        found[name] = Learned(plots.learning(name, terms[name], order), meaning)
    return found


def _log(path: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and values of every term that was ever other than 0."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        record = json.loads(line)
        for name in record.keys() - SKIPPED:
            steps, values = found.setdefault(name, ([], []))
            steps.append(record["step"])
            values.append(record[name])
    return {name: pair for name, pair in found.items() if any(pair[1])}


def _settings(study: Study, tested: Sequence[Tested], point: str) -> list[Settings]:
    """The resolved TOML of a run of every arm, what it changes of the baseline's, and where it was made."""
    listed: list[Settings] = []
    basis: dict[str, Any] = {}
    for arm in findings.arms(study):
        own = [p for p in study.runs if p.arm == arm]
        shown = [one.planned for one in runs_of(tested, arm, point)] or own
        one, done = shown[0].run, sum(p.run.tested for p in own)
        flat = run.flat({key: value for key, value in one.tree.items() if key != "seed"})
        basis = basis or flat
        changes = {key: flat.get(key, "unset") for key in sorted(flat | basis) if flat.get(key) != basis.get(key)}
        file = one.folder / "environment.json"
        where = file.read_text(encoding="utf-8") if file.exists() else ""
        listed.append(Settings(arm, one.folder.name, len(own), done, changes, tomli_w.dumps(one.tree), where))
    return listed
