"""One experiment file whose arms, sweeps and seeds are runs: laid out, checked, and carried out."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from torch import nn

from . import config, run, running, splits, workers
from .config import Tree
from .data import Domain
from .disk import exclusive, made
from .errors import ConfigError, DataError, nearest
from .finished import load_part
from .links import Planned, linked, refuse_circles
from .metrics import Metric
from .progress import say_once
from .run import Run, flat
from .train import refuse_absent

OWN = ("title", "about", "seeds", "arms", "sweep", "baseline", "metrics", "headline")  # a study's, not its runs'
NAME, UNSAFE = re.compile(r"[\w.-]+"), re.compile(r"[^\w.+-]+")  # of folders


@dataclass(frozen=True)
class Study:
    """What an experiment file asks for."""

    title: str
    about: str
    seeds: tuple[int, ...]
    baseline: str  # the arm that the others are compared with
    runs: "tuple[Planned, ...]"
    folder: Path
    metrics: Mapping[str, Metric] = field(default_factory=dict)  # by the names they have in the table
    headline: str = ""  # the metric that the page speaks of first; "" leaves it to what was measured


def plan(path: Path, folder: Path, overrides: Iterable[str], data: Path | None, cache: Path | None = None) -> Study:
    """Read an experiment file and lay out its runs; every setting of every arm is checked before anything starts."""
    tree = config.load(path, overrides)
    own = {key: tree.pop(key) for key in OWN if key in tree}
    _refuse_wrong_types(own)
    arms, seeds = _arms(own), _seeds(own, tree)
    _refuse_other_arms(arms, path)
    _refuse_unknown(tree)
    baseline = own.get("baseline", next(iter(arms)))
    if baseline not in arms:
        raise ConfigError(f"baseline: there is no arm '{baseline}'. {nearest(str(baseline), arms)}")
    planned: list[Planned] = []
    for name, changes in arms.items():
        sweep = flat(own.get("sweep", {})) | flat(changes.get("sweep", {}))
        for key, values in sweep.items():
            if key == "seed":
                raise ConfigError("sweep: write seeds = [0, 1, 2], outside of the sweep.")
            if not isinstance(values, list) or not values:
                raise ConfigError(f"sweep: '{key}' needs a list of values, such as [0, 20, 100], not {values!r}.")
        base = config.merge(tree, {key: value for key, value in changes.items() if key != "sweep"})
        for values, seed in itertools.product(itertools.product(*sweep.values()), seeds):
            try:
                planned.append(_planned(name, tuple(zip(sweep, values)), seed, base, folder, data, cache))
            except ConfigError as error:
                of_all = not planned and str(error) == _fault(tree, folder, data)
                raise ConfigError(str(error) if of_all else f"arm '{name}': {error}") from None
    folders = [p.run.folder.name for p in planned]
    if len(set(folders)) < len(folders):
        twin = next(name for name in folders if folders.count(name) > 1)
        raise ConfigError(f"Two runs would share the folder {twin}: a value of the sweep stands twice, or nearly.")
    connected = [linked(p, planned, arms, data, cache) for p in planned]
    refuse_circles(connected)
    title = own.get("title", path.stem)
    metrics, first = config.metrics(own.get("metrics", {})), own.get("headline", "")
    if first and first not in (
        known := [*metrics, *config.readings(name for p in connected for name in p.run.experiment.gap.validators)]
    ):
        raise ConfigError(f"headline: there is no metric '{first}'. {nearest(first, known)}")
    runs = tuple(sorted(connected, key=lambda p: p.run.experiment.seed))  # all arms of a seed, then the next
    return Study(title, own.get("about", ""), seeds, baseline, runs, folder, metrics, first)


def _refuse_wrong_types(own: Tree) -> None:
    for key, kind, words in (
        ("title", str, "a text"),
        ("about", str, "a text"),
        ("baseline", str, "the name of an arm"),
        ("arms", dict, "a table of arms, [arms.NAME]"),
        ("sweep", dict, "a table of settings and their values"),
        ("headline", str, "the name of a metric"),
    ):
        if key in own and not isinstance(own[key], kind):
            raise ConfigError(f"[{key}] must be {words}, not {own[key]!r}.")


def _arms(own: Tree) -> Tree:
    arms = own.get("arms", {}) or {"all": {}}
    for name, changes in arms.items():
        if not isinstance(changes, dict):
            raise ConfigError(f"[arms] '{name}' must be a table of settings, [arms.{name}], not {changes!r}.")
        if "seed" in changes or not isinstance(changes.get("sweep", {}), dict):
            raise ConfigError(f"arm '{name}': seeds are the study's, and its sweep must be a table.")
        if not NAME.fullmatch(name):
            raise ConfigError(f"arm '{name}' gives folders their names: use letters, digits, '.', '_' and '-' alone.")
    return dict(arms)


def _refuse_other_arms(arms: Tree, path: Path) -> None:
    """An override changes arms that the file has: a misspelt one would be an arm more, trained and published."""
    known = config.load(path).get("arms", {}) or {"all": {}}
    for name in arms:
        if name not in known:
            raise ConfigError(f"{path} has no arm '{name}'. {nearest(name, known)}")


def _seeds(own: Tree, tree: Tree) -> tuple[int, ...]:
    seeds = own.get("seeds", [0])
    if "seed" in tree:
        raise ConfigError("A study has seeds, one run of every arm for each: write seeds = [0, 1, 2] instead of seed.")
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise ConfigError(f"seeds must be a list of whole numbers, such as [0, 1, 2], not {seeds!r}.")
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds names one twice: {seeds}. A run counts once.")
    return tuple(seeds)


def _refuse_unknown(tree: Tree) -> None:
    known = [*OWN, *(f.name for f in fields(run.Experiment) if f.name != "seed")]
    for key in tree:
        if key not in known:
            raise ConfigError(f"The experiment has no setting '{key}'. {nearest(key, known)}")


def _planned(
    arm: str,
    point: tuple[tuple[str, Any], ...],
    seed: int,
    base: Tree,
    folder: Path,
    data: Path | None,
    cache: Path | None,
) -> Planned:
    tree = config.merge(base, {"seed": seed})
    for key, value in point:
        place: Tree = {}
        config.place(place, key, value)
        tree = config.merge(tree, place)
    words = [arm, *(f"{key.rsplit('.', 1)[-1]}={UNSAFE.sub('_', str(value))}" for key, value in point), f"s{seed}"]
    return Planned(arm, point, run.build(tree, folder / "-".join(words), data, cache))


def _fault(tree: Tree, folder: Path, data: Path | None) -> str:
    """What is wrong with the settings that all arms share; "" where nothing is."""
    try:
        run.build(tree, folder, data)
    except ConfigError as error:
        return str(error)
    return ""


def carry_out(study: Study, jobs: int = 1, arms: Sequence[str] = ()) -> list[str]:
    """Do every run that is not done, ``jobs`` at a time, each in a process of its own when more than one.

    With ``arms``, only those and the runs that they need. A run that fails leaves ``error.txt`` in its folder
    and the others go on; the names of those that failed are returned.
    """
    if jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, not {jobs}.")
    made(study.folder, "--folder")
    made(study.runs[0].run.cache, "--cache")
    refusal = f"{study.folder} is in use by another causeway process. Wait for it, or choose another folder."
    with exclusive(study.folder / "lock", wait=False, refusal=refusal):
        wanted = _wanted(study, arms)
        todo = [p for p in wanted if not (p.run.trained and p.run.tested)]
        for p in wanted:
            if p.run.begun:
                run.refuse_other_settings(p.run, config.load(p.run.folder / "config.toml"))
        _compare_data([p.run for p in wanted if p.run.begun and splits.told(p.run.folder)])
        _rehearse(todo, study)
        total, failed = len(wanted), dict[str, str]()
        done = total - len(todo)
        print(f"{study.title}: {total} runs, {done} done before.", flush=True)
        while todo:  # runs that others need are finished first
            waiting = {p.run.folder for p in todo}
            batch = [p for p in todo if waiting.isdisjoint(p.before)]
            todo = [p for p in todo if not waiting.isdisjoint(p.before)]
            for one, error in workers.finish([p.run for p in batch], jobs):
                done += 1
                name = one.folder.name
                print(f"[{done}/{total}] {name}" + (f" FAILED: {error}" if error else ""), flush=True)
                failed |= {name: error} if error else {}
        return list(failed)


def _wanted(study: Study, arms: Sequence[str]) -> list[Planned]:
    """The runs of ``arms``, all if there are none, and whatever they need."""
    known = list(dict.fromkeys(p.arm for p in study.runs))
    for arm in arms:
        if arm not in known:
            raise ConfigError(f"There is no arm '{arm}'. {nearest(arm, known)}")
    chosen = [p for p in study.runs if not arms or p.arm in arms]
    while True:
        needed = {folder for p in chosen for folder in p.before}
        more = [p for p in study.runs if p not in chosen and p.run.folder in needed]
        if not more:
            return [p for p in study.runs if p in chosen]
        chosen += more


def _compare_data(begun: Sequence[Run]) -> None:
    """Runs that are not done cannot go on with recordings that are others by now; of those that are, it is said."""
    seen: list[tuple[tuple[Any, ...], dict[str, str]]] = []
    for one in begun:
        e = one.experiment
        sets = e.source.dataset, e.source.episodes, e.target.dataset, e.target.episodes, e.target.test_dataset
        if (now := next((now for known, now in seen if known == sets), None)) is None:
            seen.append((sets, now := splits.recordings(e, one.cache)))
        if not (one.trained and one.tested):
            splits.refuse_other_data(one.folder, now)
        elif fault := splits.changed(one.folder, now):
            say_once(f"{fault} Its results are those of before.")


def _rehearse(todo: Sequence[Planned], study: Study) -> None:
    """What is wrong with the data of any arm, or with its policy or a metric for them, shows now, not after hours of
    other arms."""
    runs = {p.run.folder: p.run for p in study.runs}
    seen = _Looked()
    fitted: list[tuple[Any, ...]] = []
    gaps: list[Any] = []  # whose weights are there
    for p in todo:
        e = p.run.experiment
        acted = run.acts(e.method)
        try:
            refuse_absent(e.train)
            sides = seen.sides(p.run)
            names = sides[1].unlabelled.action_names
            for name, metric in study.metrics.items() if acted else ():
                metric.refuse_other_actions(name, names)
            for between in (e.action, e.monitor) if acted else ():
                between.build().refuse_other_actions(names)
            if not acted and e.gap not in gaps:
                config.instruments(e.gap)
                gaps.append(e.gap)
            earlier = runs.get(Path(e.start)) if e.start else None  # an arm's, which may not be learned yet
            begun = (e.start,) if earlier is None else (earlier.experiment.method, *seen.asked(earlier))
            if (fitting := (e.method, begun, seen.asked(p.run))) not in fitted:
                with running.beginning(e.start):
                    e.method.rehearse(*sides, _start(e.start, earlier, seen))
                fitted.append(fitting)
        except (ConfigError, DataError) as error:
            kind = ConfigError if isinstance(error, ConfigError) else DataError
            raise kind(f"arm '{p.arm}': {error}") from None


class _Looked:
    """Both sides of runs, without pictures; those that ask for the same are looked at once."""

    def __init__(self) -> None:
        self._seen: list[tuple[tuple[Any, ...], tuple[Domain, Domain]]] = []

    def asked(self, one: Run) -> tuple[Any, ...]:
        """All that the sides of a run hang on, but for its seed."""
        e = one.experiment
        return e.source, e.target, e.picture, e.horizon, e.history, run.acts(e.method)

    def sides(self, one: Run) -> tuple[Domain, Domain]:
        asked = self.asked(one)
        if (found := next((sides for known, sides in self._seen if known == asked), None)) is None:
            self._seen.append((asked, found := running.domains(one, decode=False)))
        return found


def _start(folder: str, earlier: Run | None, seen: _Looked) -> nn.Module | None:
    """What a run begins from: the part in a finished run's ``folder``, or one as an ``earlier`` arm will leave it."""
    if not folder:
        return None
    if earlier is None:
        return load_part(Path(folder))
    part: nn.Module = earlier.experiment.method.part_for(seen.sides(earlier)[1].spec)
    return part
