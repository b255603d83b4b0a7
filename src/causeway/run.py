"""A run and its folder: config.toml, environment.json, split.json, log.jsonl, last.pt, part.safetensors, traces."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tomli_w
import torch
from torch import nn

from . import (
    agreement,
    config,
    crossing,
    domain,
    driving,
    environment,
    evaluate,
    parts,
    ranks,
    readings,
    splits,
)
from .actions import direct
from .agent import Agent
from .bridges import Bridge, identity
from .config import Tree
from .data import Domain
from .disk import exclusive, stamp, whole
from .errors import ConfigError, nearest
from .evaluate import Evaluation
from .gap import Comparison
from .judges import Judge, Likeness, Witness
from .metrics import Trace
from .monitors import none
from .policies import Policy
from .progress import say_once
from .train import Training, train

BRIDGE = "bridge"  # folder in a run's own, of what redraws its camera's pictures: with it a policy is whole


@dataclass(frozen=True)
class Experiment:
    """Everything one run is made of; the resolved TOML in its folder reproduces it."""

    method: Any
    source: domain.Config = field(default_factory=domain.Config)
    target: domain.Config = field(default_factory=domain.Config)
    picture: domain.Picture = field(default_factory=domain.Picture)
    train: Training = field(default_factory=Training)
    evaluate: Evaluation = field(default_factory=Evaluation)
    bridge: Any = field(default_factory=identity.Config)  # between the target's camera and the policy, once deployed
    action: Any = field(default_factory=direct.Config)  # from the policy's chunk to the command
    monitor: Any = field(default_factory=none.Config)  # the last word on each command
    horizon: int = 1  # T, future actions predicted at once
    execute: int = 1  # of these, how many are carried out before the next look; more is faster and steadier, and later
    history: int = 1  # O, frames seen at once, the last ones; raising it shows how things move, slower
    seed: int = 0  # of everything drawn at random
    gap: Comparison = field(default_factory=Comparison)  # how a bridge that was trained is measured
    start: str = ""  # folder of a finished run, or in a study an arm, whose part this one begins from

    def __post_init__(self) -> None:
        if self.horizon < 1 or self.seed < 0:
            raise ConfigError(f"needs horizon of 1 or more and seed of 0 or more, not {self.horizon} and {self.seed}.")
        if not 1 <= self.execute <= self.horizon:
            raise ConfigError(f"needs execute between 1 and horizon = {self.horizon}, not {self.execute}.")
        if self.history < 1:
            raise ConfigError(f"needs history of 1 or more, not {self.history}.")
        if self.target.through and self.bridge != identity.Config():
            raise ConfigError("target.through and bridge both redraw the camera's pictures. Name one of them.")


@dataclass(frozen=True)
class Run:
    """One experiment in one folder."""

    experiment: Experiment
    tree: Tree  # the resolved TOML, with places such as {data} left open
    places: dict[str, str]
    folder: Path

    @property
    def trained(self) -> bool:
        return (self.folder / "part.safetensors").exists()

    @property
    def tested(self) -> bool:
        return self.driven or self.measured

    @property
    def driven(self) -> bool:
        """Whether it was tested as a policy is."""
        return (self.folder / "target.npz").exists()

    @property
    def measured(self) -> bool:
        """Whether it was tested as a bridge is."""
        return (self.folder / "gap.npz").exists()

    @property
    def begun(self) -> bool:
        return self.tested or any((self.folder / name).exists() for name in ("last.pt", "part.safetensors"))

    @property
    def error(self) -> str:
        """Why it failed when it was last tried; "" if it did not."""
        path = self.folder / "error.txt"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def traces(self) -> list[Trace]:
        """How its test in the target went, of a policy; nothing of a bridge."""
        return evaluate.load(self.folder / "target.npz") if self.driven else []

    @property
    def filled(self) -> Tree:
        """The resolved settings with the places filled in."""
        tree: Tree = config.fill(self.tree, self.places)
        return tree

    @property
    def cache(self) -> Path:
        return Path(self.places["cache"])


def build(tree: Tree, folder: Path, data: Path | None = None, cache: Path | None = None) -> Run:
    """The run that ``tree`` describes. ``{data}`` in it is the data folder, ``{runs}`` where the run's folder lies."""
    places = {"runs": str(folder.parent), "cache": str(cache or folder.parent / "cache")}
    if data is not None:
        places["data"] = str(data)
    if "{data}" in json.dumps(tree) and data is None:
        raise ConfigError("The experiment reads from {data}. Say where that is: --data FOLDER.")
    resolved = config.dump(config.structure(Experiment, tree, ""))
    experiment = config.structure(Experiment, config.fill(tree, places), "")
    return Run(experiment, resolved, places, folder)


def open_run(folder: Path, data: Path | None = None, cache: Path | None = None) -> Run:
    """The run in ``folder``, its data and cache where they were, unless told where they are now.

    config.toml and part.safetensors are all that a robot needs of it; without the rest its data are of no use there.
    """
    folder = Path(folder)
    if not (folder / "config.toml").exists():
        within = sorted(path.parent.name for path in folder.glob("*/config.toml"))
        beside = [path.parent.name for path in folder.parent.glob("*/config.toml")]
        helps = f"It holds the runs {', '.join(within)}." if within else nearest(folder.name, beside)
        raise ConfigError(f"{folder} is not a run: it has no config.toml. {helps}")
    tree, about = config.load(folder / "config.toml"), folder / "environment.json"
    if not about.exists():  # taken elsewhere
        return build(tree, folder, data or folder / "data", cache)
    places = json.loads(about.read_text(encoding="utf-8"))["places"]
    where = data or (Path(places["data"]) if "data" in places else None)
    kept = Path(places["cache"])
    return build(tree, folder, where, cache or (kept if kept.exists() else None))


def acts(method: Any) -> bool:
    """Whether a method (its Config) learns from demonstrations, and leaves a policy; else pictures are all it needs."""
    return bool(getattr(method, "demonstrated", True))


def domains(run: Run, decode: bool = True, shown: bool = False) -> tuple[Domain, Domain]:
    """The two domains of a run, with its seed's few shots; blank pictures unless ``decode``, to see what is wrong.

    With ``shown`` the target is as its camera shows it, for an agent that redraws it itself.
    """
    e = run.experiment
    common = e.picture, e.horizon, run.cache, e.seed
    needed = acts(e.method)
    source = domain.build("source", e.source, *common, None, decode, e.history, needed)
    target = domain.build("target", e.target, *common, source, decode, e.history, needed)
    if needed:
        agreement.refuse_mismatch(source, target, e.horizon)
    if decode:
        return _redrawn(run, source, e.source), target if shown else _redrawn(run, target, e.target)
    return source, target


def work(run: Run) -> None:
    """Train and test a run, going on where it was left; nothing is done twice."""
    with held(run):
        if run.trained and run.tested:
            return
        (run.folder / "error.txt").unlink(missing_ok=True)
        if through := run.experiment.target.through:
            parts.copy(Path(through), run.folder / BRIDGE)
        source, target = domains(run)
        if run.begun:
            splits.refuse_other_data(run.folder, splits.recorded(source, target))
        if not run.trained:
            splits.write(run.folder, source, target, run.experiment.target.test_dataset is not None)
            if run.experiment.train.devices == 1:
                train_part(run, source, target)
            else:
                ranks.train(run.folder)
        e = run.experiment
        if acts(e.method):
            evaluate.save(run.folder / "target.npz", test(run, target))
        else:
            found = crossing.measure(bridge_of(run.folder), e.gap, e.method.to, source, target)
            readings.save(run.folder / "gap.npz", found)


@contextmanager
def held(run: Run) -> Iterator[None]:
    """The run's folder, for this process alone, with its settings written down; refused where others lie in it."""
    run.folder.mkdir(parents=True, exist_ok=True)
    refusal = f"{run.folder} is in use by another causeway process. Wait for it, or choose another folder."
    with exclusive(run.folder / "lock", wait=False, refusal=refusal):
        path = run.folder / "config.toml"
        if path.exists() and run.begun:
            refuse_other_settings(run, config.load(path))
        if not run.trained:  # a finished part keeps saying where and how it was made
            with whole(path) as temporary:
                temporary.write_text(tomli_w.dumps(run.tree), encoding="utf-8")
            environment.write(run.folder / "environment.json", run.places)
        yield


def refuse_other_settings(run: Run, before: Tree) -> None:
    """Going on with other settings than a folder began with would make a result that nobody can repeat. What an older
    version did not write down was as it is by default."""
    with suppress(ConfigError):  # of what is no more, which is shown
        before = config.dump(config.structure(Experiment, before, ""))
    old, new = flat(before), flat(run.tree)
    changed = [
        f"{k}: {old.get(k, 'unset')} there, {new.get(k, 'unset')} now"
        for k in sorted(old | new)
        if old.get(k) != new.get(k)
    ]
    if changed:
        raise ConfigError(
            f"{run.folder} was begun with other settings ({'; '.join(changed[:3])}{' ...' if changed[3:] else ''}). "
            "Choose another folder with --folder, or remove that one."
        )


def flat(tree: Tree, prefix: str = "") -> dict[str, Any]:
    """The settings of ``tree`` by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def train_part(run: Run, source: Domain, target: Domain) -> None:
    """Train what the run's method trains and save it. Each of several ranks does this; the first one saves."""
    e = run.experiment
    torch.manual_seed(e.seed)
    start = load_part(Path(e.start)) if e.start else None
    try:
        method = e.method.build(source, target, e.seed, start)
    except RuntimeError as error:
        if start is None:
            raise
        why = parts.reason(error)
        raise ConfigError(f"start: the part of {e.start} does not fit this run's settings. {why}") from None
    if train(method, e.train, e.seed, run.folder):
        parts.save(run.folder, method.part, target)


def _redrawn(run: Run, side: Domain, settings: domain.Config) -> Domain:
    """The side as the bridge that its settings name redraws it; as it is where they name none."""
    if not settings.through:
        return side
    folder, encoder = Path(settings.through), run.experiment.gap.encoder
    judges, said = judges_of(settings.validator, encoder, settings.witness)
    return crossing.redrawn(side, bridge_of(folder), judges, f"{word_of(folder)} {said}")


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


def judges_of(validator: Any, encoder: Any, witness: str) -> tuple[list[Judge], str]:
    """Who says whether a redrawn picture may stay, by two Configs and a run's folder, and a word for them."""
    found: list[Judge] = []
    if validator is not None:
        found.append(Likeness(validator.build(), encoder.build()))
    if witness:
        folder = Path(witness)
        unbridged = replace(deploy(open_run(folder)), bridge=identity.Config().build())  # is shown pictures as they are
        found.append(Witness(unbridged, parts.fits(folder)[1]))
    words = [f"{validator} {encoder}"]
    if validator is not None:
        words += files_of(validator) + files_of(encoder)
    if witness:
        words.append(parts.digest(Path(witness)))
    return found, " ".join(words)


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
    if any(agreement.same_place(shown[0].root, each.root) for each in learned):
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
