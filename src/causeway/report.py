"""One self-contained HTML page of a study: numbers, plots, pictures, clips, failures and settings."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import tomli_w
from markupsafe import Markup

from . import clouds, film, findings, plots, run
from .agent import Agent
from .bridges import identity
from .data import Domain
from .disk import whole
from .film import Clip, Still
from .findings import Finding
from .metrics import Trace
from .pictures import SMALL, enlarged, picture, uri
from .run import Run
from .study import Planned, Row, Study

SAMPLES = 8  # pictures of each domain
CURVES = 3  # seeds of an arm whose learning is drawn
FAILED = 6  # failures that are shown
LONGEST_S = 60.0  # of a recording whose steering is drawn
SKIPPED = ("loss", "seconds", "norm", "step")  # of the log: they say little about crossing


class Shown(NamedTuple):
    """An arm whose run is opened for pictures."""

    arm: str
    number: int  # its place among the arms
    run: Run
    agent: Agent
    source: Domain
    target: Domain


class Ends(NamedTuple):
    """How the episodes of an arm at one point ended."""

    arm: str
    point: str
    counts: dict[str, int]


def write(study: Study, rows: Sequence[Row], path: Path) -> None:
    """Write the page of ``study``, whose table is ``rows``, from what is done so far."""
    found = findings.find(study, rows)
    order = findings.arms(study)
    lead, numbers = findings.headline(study, found)
    page: dict[str, Any] = {
        "study": study, "found": found, "arms": order, "lead": lead, "numbers": numbers, "rows": rows,
        "done": [p for p in study.runs if p.run.tested],
        "missing": [p.run.folder.name for p in study.runs if not p.run.tested],
        "crashed": [(p, t) for p in study.runs if p.run.tested for t in p.run.traces if t.error],
        "ends": (ended := _ends(study)), "end_names": list(dict.fromkeys(end for each in ended for end in each.counts)),
        "silent": _silent(study, rows), "command": _command(),
        "said": findings.context(study, rows, found) if found else [],
        "settings": _settings(study, found), "curves": _curves(study, found, order),
    }  # fmt: skip
    if found:
        page |= _numbers(study, rows, found, order) | _pictures(study, found, order)
    text = resources.files("causeway").joinpath("report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {"number": findings.number, "signed": findings.signed, "colour": plots.colour}
    with whole(path) as temporary:
        temporary.write_text(environment.from_string(text).render(page), encoding="utf-8")


# --- numbers -------------------------------------------------------------------------------------------------------


def _numbers(study: Study, rows: Sequence[Row], found: Finding, order: list[str]) -> dict[str, Any]:
    """Forest plots of every metric at the chosen point, and every metric over the sweep; the finding's metric first."""
    metrics = sorted(dict.fromkeys(row.metric for row in rows), key=lambda name: name != found.metric)
    groups = {metric: [row for row in rows if row.metric == metric] for metric in metrics}
    forests = {metric: findings.forest(study, own, found.point) for metric, own in groups.items()}
    stops = findings.points(study)
    keys = {key for p in study.runs for key, _ in p.point}
    words = next(iter(keys)) if len(keys) == 1 else "point of the sweep"
    sweeps = {metric: plots.sweep(own, order, stops, words) for metric, own in groups.items() if len(stops) > 1}
    return {"forests": forests, "sweeps": sweeps, "groups": groups, "stops": stops}


def _ends(study: Study) -> list[Ends]:
    """The ends of driven episodes, and crashes, by arm and point."""
    found: dict[tuple[str, str], list[Trace]] = {}
    for p in study.runs:
        if p.run.tested:
            found.setdefault((p.arm, p.label), []).extend(p.run.traces)
    counted = [Ends(arm, label, dict(findings.ends(traces))) for (arm, label), traces in found.items()]
    return [each for each in counted if each.counts]


def _silent(study: Study, rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Arms without a number, and why: they stay in the table."""
    measured = {(row.arm, row.point) for row in rows}
    found: dict[tuple[str, str], str] = {}
    for p in study.runs:
        if (p.arm, p.label) not in measured:
            traces = p.run.traces if p.run.tested else []
            crashed = sum(1 for trace in traces if trace.error)
            found[p.arm, p.label] = f"{crashed} of {len(traces)} episodes crashed" if traces else "not run yet"
    return [(arm, point, why) for (arm, point), why in found.items()]


def _curves(study: Study, found: Finding | None, order: list[str]) -> dict[str, Markup]:
    """Every logged term over the steps, at the finding's point, for a few seeds of every arm."""
    terms: dict[str, list[plots.Curve]] = {}
    for number, arm in enumerate(order):
        for p in _runs(study, arm, found.point if found else "")[:CURVES]:
            for name, (steps, values) in _log(p.run.folder / "log.jsonl").items():
                terms.setdefault(name, []).append(plots.Curve(number, steps, values))
    kinds = ("tune/", "imitation/", "alignment")
    first = sorted(terms, key=lambda name: (next((i for i, k in enumerate(kinds) if name.startswith(k)), 9), name))
    return {name: plots.learning(name, terms[name], order) for name in first}


def _log(path: Path) -> dict[str, tuple[list[int], list[float]]]:
    found: dict[str, tuple[list[int], list[float]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        record = json.loads(line)
        for name, value in record.items():
            if name not in SKIPPED:
                steps, values = found.setdefault(name, ([], []))
                steps.append(record["step"])
                values.append(value)
    return {name: pair for name, pair in found.items() if any(pair[1])}


def _runs(study: Study, arm: str, point: str) -> list[Planned]:
    """The tested runs of an arm at ``point``, or where it last stands, by seed."""
    own = [p for p in study.runs if p.arm == arm and p.run.tested]
    here = [p for p in own if p.label == point] or [p for p in own if p.label == own[-1].label]
    return sorted(here, key=lambda p: p.run.experiment.seed)


def _settings(study: Study, found: Finding | None) -> list[dict[str, Any]]:
    """The resolved TOML of a run of every arm, what it changes of the baseline's, and where it was made."""
    listed = []
    basis: dict[str, Any] = {}
    for arm in findings.arms(study):
        own = [p for p in study.runs if p.arm == arm]
        p = (_runs(study, arm, found.point if found else "") or own)[0]
        flat = run._flat({key: value for key, value in p.run.tree.items() if key != "seed"})
        basis = basis or flat
        changes = {key: flat.get(key, "unset") for key in sorted(flat | basis) if flat.get(key) != basis.get(key)}
        file = p.run.folder / "environment.json"
        where = file.read_text(encoding="utf-8") if file.exists() else ""
        named = {"arm": arm, "folder": p.run.folder.name, "runs": len(own), "done": sum(q.run.tested for q in own)}
        listed.append({**named, "changes": changes, "toml": tomli_w.dumps(p.run.tree), "environment": where})
    return listed


def _command() -> str:
    """The command that makes this page."""
    name, *words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    name = "causeway" if name == "__main__.py" else name
    return shlex.join([name, *("run" if i == 0 and word == "report" else word for i, word in enumerate(words))])


# --- pictures ------------------------------------------------------------------------------------------------------


def _pictures(study: Study, found: Finding, order: list[str]) -> dict[str, Any]:
    """Everything that needs the data and the trained parts: those of the baseline and of the best arm alone."""
    best = _open(study, found.best.arm, found.point, order, None)
    own = _runs(study, study.baseline, found.point)
    base = _open(study, study.baseline, found.point, order, best) if own and found.best.arm != study.baseline else None
    both = [each for each in (base, best) if each]
    page = {
        "best": best, "base": base, "clips": _clips(best), "samples": _samples(best),
        "clouds": {each.arm: clouds.clouds(each.agent, each.source, each.target) for each in both},
        "failures": _failures(best), "steering": _steering(both, order), "errors": _errors(study, found, order),
    }  # fmt: skip
    page["scatters"] = {arm: plots.scatter(c.source, c.target, arm) for arm, c in page["clouds"].items()}
    return page


def _open(study: Study, arm: str, point: str, order: list[str], other: Shown | None) -> Shown:
    one = _runs(study, arm, point)[0].run
    same = other is not None and _sides(one) == _sides(other.run)
    domains = (other.source, other.target) if same and other else run.domains(one)
    return Shown(arm, order.index(arm), one, run.deploy(one), *domains)


def _sides(one: Run) -> tuple[Any, ...]:
    """What the pictures of a run's domains depend on."""
    e = one.experiment
    return replace(e.source, limit="all"), replace(e.target, limit="all"), e.picture, e.horizon


def _unbridged(agent: Agent) -> Agent:
    """The agent as it drives in the source, whose pictures need no bridge."""
    return replace(agent, bridge=identity.Config().build())


def _clips(best: Shown) -> dict[str, Clip]:
    """The best arm in either domain: driving where there is a simulator, else along a recording."""
    e = best.run.experiment
    size = (e.picture.height, e.picture.width)
    found = {}
    for domain, agent in ((best.source, _unbridged(best.agent)), (best.target, best.agent)):
        if domain.simulator is not None:
            found[domain.name] = film.driven(agent, domain.simulator, e.evaluate.first_seed, size, domain.crop)
        elif domain.test.actions is not None and len(domain.test):
            found[domain.name] = film.along(agent, domain.test, _typical(best, domain))
    return found


def _typical(best: Shown, domain: Domain) -> int:
    """Where a clip of a recording begins: in the target at the stretch of middling error, in the source midway."""
    traces = [trace for trace in best.run.traces if trace.reference is not None and trace.time_s is not None]
    if domain.name != "target" or not traces:
        return len(domain.test) // 2
    index = film.steering(domain.test.action_names)
    middling = sorted(traces, key=lambda trace: film.error(trace, index))[len(traces) // 2]
    return film.place(domain.test, middling, 0)


def _samples(best: Shown) -> dict[str, list[str]]:
    """A few pictures of each domain as the policy sees them, and of the target through the bridge where there is one."""
    found = {}
    for domain in (best.source, best.target):
        moments = clouds.shown(domain)
        images = moments.take(clouds.spread(len(moments), SAMPLES)).images
        found[domain.name] = [uri(enlarged(picture(image), SMALL)) for image in images.numpy()]
    if not isinstance(best.agent.bridge, identity.Identity):
        crossed = best.agent.bridge(images).numpy()
        found["target, through the bridge"] = [uri(enlarged(picture(image), SMALL)) for image in crossed]
    return found


def _failures(best: Shown) -> list[Still]:
    """Failed episodes of the best arm at their end, of every kind of end; or the worst stretches of its recording."""
    traces = [trace for trace in best.run.traces if not trace.error]
    failed = [trace for trace in traces if trace.end not in ("", "completed")]
    if failed and best.target.simulator is not None:
        kinds: dict[str, int] = {}
        turns = []
        for trace in failed:
            turns.append((kinds.setdefault(trace.end, 0), trace))
            kinds[trace.end] += 1
        chosen = [trace for _, trace in sorted(turns, key=lambda pair: pair[0])[:FAILED]]
        return film.endings(chosen, best.target.simulator)
    along = [trace for trace in traces if trace.reference is not None]
    return film.worst(along, best.target.test, FAILED) if along else []


def _steering(both: Sequence[Shown], order: list[str]) -> dict[str, Any]:
    """Predicted and recorded action along the longest part of the test recording that fits the page."""
    first = [trace for trace in both[-1].run.traces if trace.reference is not None and trace.time_s is not None]
    if not first:
        return {}
    index = film.steering(both[-1].target.test.action_names)
    recordings = [trace.name.partition("@")[0] for trace in first]
    longest = max(dict.fromkeys(recordings), key=recordings.count)
    guesses = {}
    for each in both:
        own = [t for t in each.run.traces if t.name.partition("@")[0] == longest and t.time_s is not None]
        time_s = np.concatenate([trace.time_s for trace in own if trace.time_s is not None])
        near = time_s < time_s[0] + LONGEST_S
        guesses[each.number] = np.concatenate([trace.actions[:, index] for trace in own])[near]
        truth = np.concatenate([trace.reference[:, index] for trace in own if trace.reference is not None])[near]
    drawn = [plots.steering(time_s[near], truth, guesses, order, width) for width in (plots.WIDE, plots.NARROW)]
    name = both[-1].target.test.action_names[index]
    return {"wide": drawn[0], "narrow": drawn[1], "recording": longest, "action": name, "most_s": LONGEST_S}


def _errors(study: Study, found: Finding, order: list[str]) -> list[tuple[str, float, float, str]]:
    """For every arm along recordings: the error of the middling and the worst stretch, and where that is."""
    listed = []
    for arm in order:
        for p in _runs(study, arm, found.point)[:1]:
            own = sorted((film.error(t, 0), t.name) for t in p.run.traces if t.reference is not None)
            listed += [(arm, own[len(own) // 2][0], *own[-1])] if own else []
    return listed
