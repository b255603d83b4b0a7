"""The runs of a study, and which of them need others finished: to begin from, or to have their pictures redrawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import config, run
from .config import Tree
from .errors import ConfigError, nearest
from .run import Run

REDRAWS = {"source.through": "target", "target.through": "source"}  # and whose look is given
WITNESSES = ("source.witness", "target.witness")  # which say whether what is redrawn may stay
LINKS = ("start", *REDRAWS, *WITNESSES)  # settings that name an arm, or the folder of a run


@dataclass(frozen=True)
class Planned:
    """One run of a study: an arm, at one point of the sweep, with one seed."""

    arm: str
    point: tuple[tuple[str, Any], ...]  # the swept settings and their values
    run: Run

    @property
    def before(self) -> tuple[Path, ...]:
        """The folders of the runs that this one needs finished: what it begins from, what redraws, what judges."""
        return tuple(Path(value) for key in LINKS if (value := run.flat(self.run.filled).get(key)))

    @property
    def label(self) -> str:
        """The swept settings in a few letters, e.g. ``limit=20``."""
        return " ".join(f"{key.rsplit('.', 1)[-1]}={value}" for key, value in self.point)


def linked(planned: Planned, others: Sequence[Planned], arms: Tree, data: Path | None, cache: Path | None) -> Planned:
    """A run whose ``start``, ``through`` or ``witness`` names an arm needs its run of the same seed and point."""
    tree = planned.run.tree
    for key, named in ((key, run.flat(tree).get(key, "")) for key in LINKS):
        if named in arms:
            change: Tree = {}
            config.place(change, key, "{runs}/" + _run_of(named, key, planned, others).run.folder.name)
            tree = config.merge(tree, change)
        elif named:
            folder = Path(config.fill(named, planned.run.places))
            if not folder.is_dir():
                raise ConfigError(
                    f"arm '{planned.arm}': {key}: there is no arm or run '{named}'. {nearest(named, arms)}"
                )
            if (folder / "config.toml").exists():
                _refuse_other(key, named, planned, run.open_run(folder).experiment.method)
    if tree == planned.run.tree:
        return planned
    return Planned(planned.arm, planned.point, run.build(tree, planned.run.folder, data, cache))


def _run_of(arm: str, key: str, planned: Planned, others: Sequence[Planned]) -> Planned:
    """The run of an ``arm`` that ``planned`` needs."""
    if arm == planned.arm:
        raise ConfigError(f"arm '{arm}': {key} names the arm itself.")
    ours = dict(planned.point)
    same_seed = [o for o in others if o.arm == arm and o.run.experiment.seed == planned.run.experiment.seed]
    same = [o for o in same_seed if all(ours.get(name, value) == value for name, value in o.point)]
    chosen = same or same_seed
    if len(chosen) != 1:
        raise ConfigError(f"arm '{planned.arm}': {key} = '{arm}' is not one run but {len(chosen)}.")
    _refuse_other(key, arm, planned, chosen[0].run.experiment.method)
    return chosen[0]


def _refuse_other(key: str, named: str, planned: Planned, method: Any) -> None:
    """Raise ConfigError where a run of another ``method`` (its Config) is needed for what ``key`` names."""
    where, own = f"arm '{planned.arm}': {key} = '{named}'", planned.run.experiment.method
    if key in WITNESSES and not run.acts(method):
        raise ConfigError(f"{where} leaves no policy. Name an arm that acts.")
    if key in REDRAWS and (run.acts(method) or getattr(method, "to", REDRAWS[key]) != REDRAWS[key]):
        raise ConfigError(
            f"{where} leaves no bridge to the {REDRAWS[key]}. Name an arm of method translation with "
            f'to = "{REDRAWS[key]}".'
        )
    if key == "start" and run.acts(own) and not run.acts(method):
        raise ConfigError(f"{where} leaves a bridge, and this arm learns a policy. Name an arm that acts.")
    taught = key == "start" and getattr(own, "taught", False)
    if taught and (run.acts(method) or getattr(method, "to", own.to) != own.to):
        raise ConfigError(
            f"{where} is no teacher: it leaves no bridge to the {own.to}. Say whose look it gives by method.to."
        )


def refuse_circles(planned: Sequence[Planned]) -> None:
    before = {p.run.folder: p.before for p in planned}
    for folder in before:
        passed: set[Path] = set()
        ahead = [folder]
        while ahead:
            at = ahead.pop()
            if folder in before.get(at, ()):
                raise ConfigError(f"The arms need one another in a circle, through {folder.name}.")
            ahead += [each for each in before.get(at, ()) if each not in passed]
            passed |= set(before.get(at, ()))
