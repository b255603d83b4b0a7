"""A run and its folder: config.toml, environment.json, split.json, log.jsonl, last.pt, part.safetensors, traces."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from . import (
    config,
    domain,
    environment,
    evaluate,
    readings,
)
from .actions import direct
from .bridges import identity
from .config import Tree
from .disk import exclusive, whole
from .errors import ConfigError, nearest
from .evaluate import Evaluation
from .gap import Comparison
from .metrics import Trace
from .monitors import none
from .train import Training


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
        if not self.train.steps and getattr(self.method, "taught", False):
            raise ConfigError(
                "has a student, which has to learn: give it train.steps of 1 or more. One that has learned is held "
                'steady by method.name = "translation", with the bridge steady around it.'
            )
        if not self.train.steps and not self.start:
            raise ConfigError("train.steps = 0 leaves what another run left as it is: name that as start, or learn.")
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
        """Whether it was tested as a bridge is, by the settings that ``gap`` has now."""
        path = self.folder / "gap.npz"
        if not path.exists():
            return False
        known = readings.asked(path)
        asked = json.loads(known) if known else config.load(self.folder / "config.toml").get("gap", {})
        with suppress(ConfigError):  # of what is no more
            asked = config.dump(config.structure(Comparison, asked, "gap"))
        return bool(asked == self.tree["gap"])

    @property
    def asked(self) -> str:
        """How it is to be measured as a bridge, in a line."""
        return json.dumps(self.tree["gap"])

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
        helps = f"It holds the runs {', '.join(within)}." if within else nearest(folder.name, beside) if beside else ""
        what = "is not a run: it has no config.toml" if folder.is_dir() else "is not a run: there is no such folder"
        raise ConfigError(f"{folder} {what}. {helps}".strip())
    tree, about = config.load(folder / "config.toml"), folder / "environment.json"
    if not about.exists():  # taken elsewhere
        return build(tree, folder, data or folder / "data", cache)
    places = json.loads(about.read_text(encoding="utf-8"))["places"]
    where = data or (Path(places["data"]) if "data" in places else None)
    kept = Path(places["cache"])
    return build(tree, folder, where, cache or (kept if kept.exists() else None))


def crossed_sides(e: Experiment) -> tuple[domain.Config, domain.Config]:
    """The side that the bridge of an experiment redraws, and the one whose look it gives."""
    to_target = getattr(e.method, "to", "target") == "target"
    return (e.source, e.target) if to_target else (e.target, e.source)


def acts(method: Any) -> bool:
    """Whether a method (its Config) learns from demonstrations, and leaves a policy; else pictures are all it needs."""
    return bool(getattr(method, "demonstrated", True))


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
    version did not write down was as it is by default. How a bridge is measured has no part in how it is made."""
    with suppress(ConfigError):  # of what is no more, which is shown
        before = config.dump(config.structure(Experiment, before, ""))
    e, old, new = run.experiment, flat(before), flat(run.tree)
    judged = bool(e.source.validator or e.target.validator)  # by what the encoder sees
    changed = [
        f"{k}: {old.get(k, 'unset')} there, {new.get(k, 'unset')} now"
        for k in sorted(old | new)
        if old.get(k) != new.get(k) and (not k.startswith("gap.") or (judged and k.startswith("gap.encoder")))
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
