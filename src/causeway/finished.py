"""What a finished run left, at work: its part, the agent or bridge that this makes, and tests of it."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from torch import nn

from . import agreement, config, domain, driving, evaluate, parts
from .agent import Agent
from .bridges import Bridge, identity
from .cache import Crop
from .data import Domain
from .disk import stamp
from .errors import ConfigError
from .judges import Judge, Likeness, Witness
from .metrics import Trace
from .policies import Policy
from .progress import say_once
from .run import Run, flat, open_run

BRIDGE = "bridge"  # folder in a run's own, of what redraws its camera's pictures: with it a policy is whole


def word_of(folder: Path) -> str:
    """A word that changes with the bridge that a run left, and with files that its settings name."""
    bridge = getattr(open_run(folder).experiment.method, "bridge", None)
    return " ".join([parts.digest(folder), *files_of(bridge)])


def files_of(component: Any) -> list[str]:
    """A word for the files that the settings of a component (its Config) name, in a list; an empty one for none."""
    settings = flat(config.dump(component)).values() if component is not None else ()
    # a bare word is the name of a component, or a choice, more often than that of a folder
    word = stamp(value for value in settings if isinstance(value, str) and (Path(value).suffix or "/" in value))
    return [word] if word else []


def plainly(component: Any) -> Any:
    """A component's Config with what only makes it quicker as it is by itself: that changes nothing that it makes."""
    quick = getattr(component, "quick", ())
    return replace(component, **{each.name: each.default for each in fields(component) if each.name in quick})


def quickened(bridge: Bridge, asked: Mapping[str, Any], folder: Path) -> None:
    """Give the ``bridge`` of the run in ``folder`` settings that change no drawing. Raises ConfigError at others."""
    quick = getattr(bridge.config, "quick", ())
    if others := [key for key in asked if key not in quick]:
        may = f"Only {', '.join(quick)} may differ." if quick else "None may differ."
        raise ConfigError(
            f"bridge.{others[0]}: {folder} redraws as it was trained. {may} Leave bridge.{others[0]} out."
        )
    if asked:
        bridge.config = config.structure(type(bridge.config), {**config.dump(bridge.config), **asked}, "bridge")


def tell_another_crop(folder: Path, shown: Crop, what: str) -> None:
    """Say so where a policy is shown pictures that are cut otherwise than those it was trained on."""
    e = open_run(folder).experiment
    if shown not in (e.source.crop, e.target.crop):
        known = e.target.crop
        say_once(f"{folder} was trained on pictures cut by {known}, but {what} cut by {shown}: it may not know them.")


def judges_of(validator: Any, encoder: Any, witness: str) -> tuple[list[Judge], str]:
    """Who says whether a redrawn picture may stay, and a word for them: a validator's Config, or several, an encoder's
    to see by, and a policy's run."""
    chosen = validator if isinstance(validator, tuple) else () if validator is None else (validator,)
    found: list[Judge] = []
    if chosen:
        eye = encoder.build()
        found += [Likeness(each.build(), eye, each.most) for each in chosen]
    if witness:
        folder = Path(witness)
        found.append(Witness(unbridged(open_run(folder)), parts.fits(folder)[1]))
    words = [f"{validator} {encoder}", *(f"{each.name} v{each.version}" for each in found)]
    for each in chosen:
        words += files_of(each)
    words += files_of(encoder) if chosen else []
    if witness:
        words.append(parts.digest(Path(witness)))
    return found, " ".join(words)


def unbridged(run: Run) -> Agent:
    """The agent of a finished run, shown pictures as they are: what redraws them is somebody else's matter."""
    return replace(deploy(run), bridge=identity.Config().build())


def bridge_of(folder: Path) -> Bridge:
    """The bridge that the finished run in ``folder`` left. Raises ConfigError where it left something else."""
    part = load_part(folder)
    if not isinstance(part, Bridge):
        raise ConfigError(f"{folder} holds a {type(part).__name__}, which redraws nothing. Name a run of a bridge.")
    return part


def test(run: Run, target: Domain) -> list[Trace]:
    """The traces of a trained run in the target: closed loop if there is a simulator, else along the test recording."""
    if target.simulator is not None:
        return test_in_simulator(run, target.simulator)
    return evaluate.replay(deploy(run), target.test, run.experiment.evaluate)


def test_in_simulator(run: Run, simulator: Any) -> list[Trace]:
    """Closed loop in the world of a simulator's Config, pictures cropped as the target's are."""
    e = run.experiment
    spec, names = parts.fits(run.folder)
    agreement.refuse_other_world(simulator, spec, names, parts.rate_hz(run.folder))
    return driving.drive(deploy(run), simulator, e.evaluate, (e.picture.height, e.picture.width), e.target.crop)


def test_on_recordings(run: Run, dataset: Any) -> list[Trace]:
    """Open loop along all of a dataset (its Config), pictures cropped as the target's are."""
    e = run.experiment
    shown = dataset.build(), e.target.crop, e.picture, e.horizon, run.cache
    recorded = domain.read("dataset", *shown, history=e.history)
    learned = [side.dataset for side in (e.source, e.target) if side.dataset is not None]
    near = [each for each in learned if agreement.same_place(shown[0].root, each.root)]  # others may not be here
    if any(agreement.shared(shown[0], each.build()) for each in near):
        say_once(f"{shown[0].root} is what this run learned from, all or in part: how it does there is no test of it.")
    agent = deploy(run)
    agreement.refuse_other_policy(*parts.fits(run.folder), recorded, parts.rate_hz(run.folder))
    return evaluate.replay(agent, recorded, e.evaluate)


def deploy(run: Run) -> Agent:
    """The agent a trained run left: its part, on the CPU, between bridge, action map and monitor."""
    policy = load_part(run.folder)
    if not isinstance(policy, Policy):
        raise ConfigError(f"{run.folder} holds a {type(policy).__name__}, which cannot drive. Name a run of a policy.")
    e, names = run.experiment, parts.fits(run.folder)[1]
    action, monitor = e.action.build(), e.monitor.build()
    for between in (action, monitor):
        between.refuse_other_actions(names.actions)
    bridge = bridge_of(run.folder / BRIDGE) if e.target.through else e.bridge.build()
    return Agent(policy, bridge, action, monitor, e.execute, names)


def load_part(folder: Path) -> nn.Module:
    """The part a finished run left."""
    return parts.load(folder, open_run(folder).experiment.method)
