"""What the page shows of the data and the trained parts: those of the baseline and of the best arm alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from . import clouds, crossing, film, findings, finished, plots, redraw, run, running, splits
from .agent import Agent
from .bridges import identity
from .clouds import Clouds
from .data import Domain, Moments
from .errors import DataError
from .film import Clip, Still
from .findings import Finding, Tested, runs_of
from .pictures import SMALL, enlarged, picture, uri
from .study import Study

SAMPLES = 8  # pictures of each domain
REDRAWN = 6  # pictures that bridges redraw
BEFORE = 4  # moments that each is redrawn after
FAILED = 6  # failures that are shown
LONGEST_S = 60.0  # of a recording whose actions are drawn


class Shown(NamedTuple):
    """An arm whose run is opened for pictures."""

    arm: str
    number: int  # its place among the arms
    tested: Tested
    agent: Agent
    source: Domain
    target: Domain
    action: str = ""  # what the page speaks of; "" leaves it to what there is

    @property
    def ink(self) -> str:
        """The colour of its arm in pictures, whose strip is dark on any page."""
        return plots.PALETTE[plots.colour(self.number)][1]


class Predictions(NamedTuple):
    """Predicted and recorded action along a recording, drawn for two widths."""

    wide: Markup
    narrow: Markup
    recording: str
    action: str
    most_s: float


class Gallery(NamedTuple):
    """Pictures of a study."""

    best: Shown
    base: Shown | None
    clips: dict[str, Clip]  # by domain
    above: dict[str, str]  # what the colours of a simulator's bird's-eye view stand for
    rightward: bool  # whether a positive steering is known to turn right
    samples: dict[str, list[str]]  # by domain
    clouds: dict[str, Clouds]  # by arm
    scatters: dict[str, Markup]  # by arm
    failures: list[Still]
    predictions: Predictions | None


class Crossed(NamedTuple):
    """Some pictures of a side, and what bridges make of them."""

    side: str  # whose they are
    before: list[str]
    arms: dict[str, list[str]]  # by arm


def hang(study: Study, tested: Sequence[Tested], found: Finding, order: list[str]) -> Gallery:
    """Open the best arm and the baseline, and draw what there is to see of them."""
    action = findings.action(study, found, tested)
    best = _open(tested, found.best.arm, found.point, order, None)._replace(action=action)
    base = None
    if found.best.arm != study.baseline and runs_of(tested, study.baseline, found.point):
        base = _open(tested, study.baseline, found.point, order, best)
    both = [each for each in (base, best) if each]
    seen = {each.arm: clouds.clouds(each.agent, each.source, each.target) for each in both}
    scatters = {arm: plots.scatter(cloud.source, cloud.target, arm) for arm, cloud in seen.items()}
    e = best.tested.planned.run.experiment
    known = film.rightward(e.source) and film.rightward(e.target)
    shown = _samples(best), seen, scatters, _failures(best), _predictions(both, order)
    return Gallery(best, base, _clips(best), film.seen_from_above(e.target), known, *shown)


def crossed(study: Study, order: list[str]) -> list[Crossed]:
    """A few of the pictures that bridges are measured on, as they were and as the first seed of each arm has them."""
    found: dict[str, Crossed] = {}
    known: list[tuple[Any, tuple[Domain, Domain]]] = []  # arms that differ in their bridges alone share their domains
    for arm in order:
        one = next((p.run for p in study.runs if p.arm == arm and p.run.measured), None)
        if one is None:
            continue
        sides, e = _sides(one), one.experiment
        domains = next((each for other, each in known if other == sides), None)
        if domains is None:
            domains = running.domains(one)
            known.append((sides, domains))
        _refuse_changed(one, *domains)
        ours, _ = crossing.between(e.gap, e.method.to, *domains)
        places = clouds.spread(len(ours), REDRAWN)
        few = ours.select(places)
        key = f"{e.method.to} {redraw.said(few.frames)} {few.rows}"
        if key not in found:
            before = [uri(enlarged(picture(images), SMALL)) for images in few.frames[few.rows]]
            found[key] = Crossed("source" if e.method.to == "target" else "target", before, {})
        redrawn = redraw.through(finished.bridge_of(one.folder), ours.select(_with_before(ours, places)))
        shown = redrawn[np.searchsorted(_with_before(ours, places), places)]
        found[key].arms[arm] = [uri(enlarged(picture(images), SMALL)) for images in shown]
    return list(found.values())


def _with_before(moments: Moments, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ``places`` and a few before each, ascending, for bridges that remember what they drew of a clip."""
    return np.unique((places[:, None] - np.arange(BEFORE)).clip(0, len(moments) - 1))


def _refuse_changed(one: run.Run, source: Domain, target: Domain) -> None:
    if fault := splits.changed(one.folder, splits.recorded(source, target)):
        raise DataError(f"{fault} Its results stand in results.csv; a page with its pictures needs those of before.")


def _open(tested: Sequence[Tested], arm: str, point: str, order: list[str], other: Shown | None) -> Shown:
    """The first run of an arm; it shares the domains of ``other`` where the settings are the same."""
    first = runs_of(tested, arm, point)[0]
    one = first.planned.run
    if other is not None and _sides(one) == _sides(other.tested.planned.run):
        domains = other.source, other.target
    else:
        domains = running.domains(one, shown=True)  # the agent redraws the target itself
    _refuse_changed(one, *domains)
    return Shown(arm, order.index(arm), first, finished.deploy(one), *domains)


def _sides(one: run.Run) -> tuple[Any, ...]:
    """What the pictures of a run's domains depend on."""
    e = one.experiment
    return replace(e.source, limit="all"), replace(e.target, limit="all"), e.picture, e.horizon, e.history


def _clips(best: Shown) -> dict[str, Clip]:
    """The best arm in either domain: in closed loop where there is a simulator, else along a recording."""
    e = best.tested.planned.run.experiment
    size = (e.picture.height, e.picture.width)
    unbridged = replace(best.agent, bridge=identity.Config().build())  # the source's pictures need no bridge
    found = {}
    for domain, agent in ((best.source, unbridged), (best.target, best.agent)):
        if domain.simulator is not None:
            try:
                found[domain.name] = film.driven(
                    agent, domain.simulator, e.evaluate.first_seed, size, domain.crop, best.ink, best.action
                )
            except Exception as error:  # a fact, and shown, as it is in the evaluation
                found[domain.name] = Clip("", "", f"the program failed: {type(error).__name__}: {error}")
        elif len(unseen := domain.test if len(domain.test) else domain.tune) and unseen.actions is not None:
            found[domain.name] = film.along(agent, unseen, _typical(best, domain, unseen), best.ink, best.action)
    return found


def _typical(best: Shown, domain: Domain, unseen: Moments) -> int:
    """Where a clip of a recording begins: in the target at the stretch of median error, in the source midway."""
    index = film.drawn_action(unseen.action_names, best.action)
    traces = film.stretches(best.tested.traces)
    if domain.name != "target" or not traces:
        return len(unseen) // 2
    median = sorted(traces, key=lambda trace: film.error(trace, index))[len(traces) // 2]
    return film.place(unseen, median, 0)


def _samples(best: Shown) -> dict[str, list[str]]:
    """A few pictures of each domain as the policy sees them, and of the target through its bridge if there is one."""
    found = {}
    for domain in (best.source, best.target):
        moments = clouds.shown(domain)
        images = replace(moments, history=1).take(clouds.spread(len(moments), SAMPLES)).images
        found[domain.name] = [uri(enlarged(picture(image), SMALL)) for image in images.numpy()]
    if not isinstance(best.agent.bridge, identity.Identity):
        crossed = best.agent.bridge(images).numpy()
        found["target, through the bridge"] = [uri(enlarged(picture(image), SMALL)) for image in crossed]
    return found


def _failures(best: Shown) -> list[Still]:
    """Failed episodes of the best arm at their end, every kind of end first; or the worst stretches of a recording."""
    failed = [trace for trace in best.tested.traces if not trace.error and trace.end not in ("", "completed")]
    if not failed or best.target.simulator is None:
        return film.worst(film.stretches(best.tested.traces), best.target.test, FAILED, best.ink, best.action)
    before = [sum(other.end == trace.end for other in failed[:place]) for place, trace in enumerate(failed)]
    turns = sorted(range(len(failed)), key=lambda place: before[place])
    return film.endings([failed[place] for place in turns[:FAILED]], best.target.simulator, best.ink, best.action)


def _predictions(both: Sequence[Shown], order: list[str]) -> Predictions | None:
    """Predicted and recorded action along the longest recording of the test, as much of it as fits the page."""
    names = both[-1].target.test.action_names
    index = film.drawn_action(names, both[-1].action)
    recordings = [film.recording(trace) for trace in both[-1].tested.traces if trace.reference is not None]
    if not recordings:
        return None
    longest = max(dict.fromkeys(recordings), key=recordings.count)
    guesses = {}
    for each in both:
        own = [trace for trace in each.tested.traces if film.recording(trace) == longest]
        time_s = np.concatenate([trace.time_s for trace in own if trace.time_s is not None])
        truth = np.concatenate([trace.reference[:, index] for trace in own if trace.reference is not None])
        near = time_s < time_s[0] + LONGEST_S
        guesses[each.number] = np.concatenate([trace.actions[:, index] for trace in own])[near]
    known = names[index] == "steering" and film.rightward(both[-1].tested.planned.run.experiment.target)
    words = f"{names[index]}\nleft − / right +" if known else names[index]
    drawn = time_s[near], truth[near], guesses, order, words
    wide, narrow = (plots.predictions(*drawn, width) for width in (plots.WIDE, plots.NARROW))
    return Predictions(wide, narrow, longest, names[index], LONGEST_S)
