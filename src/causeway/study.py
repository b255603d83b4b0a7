"""One experiment file whose arms, sweeps and seeds are runs, compared in one table."""

import csv
import itertools
import multiprocessing
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from . import config, evaluate, run
from .config import Tree
from .disk import exclusive, whole
from .errors import ConfigError, DataError, MissingExtra, nearest
from .evaluate import Measure
from .metrics import Metric, Trace
from .run import Run

OWN = ("title", "about", "seeds", "arms", "sweep", "baseline")  # keys of a study that its runs do not see


@dataclass(frozen=True)
class Study:
    """What an experiment file asks for."""

    title: str
    about: str
    seeds: tuple[int, ...]
    baseline: str  # the arm that the others are compared with
    runs: "tuple[Planned, ...]"
    folder: Path


@dataclass(frozen=True)
class Planned:
    """One run of a study: an arm, at one point of the sweep, with one seed."""

    arm: str
    point: tuple[tuple[str, Any], ...]  # the swept settings and their values
    run: Run

    @property
    def label(self) -> str:
        """The swept settings in a few letters, e.g. ``limit=20``."""
        return " ".join(f"{key.rsplit('.', 1)[-1]}={value}" for key, value in self.point)


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


def plan(path: Path, folder: Path, overrides: Iterable[str], data: Path | None, cache: Path | None = None) -> Study:
    """Read an experiment file and lay out its runs; every setting of every arm is checked before anything starts."""
    tree = config.load(path, overrides)
    own = {key: tree.pop(key) for key in OWN if key in tree}
    arms: Tree = own.get("arms", {}) or {"all": {}}
    seeds = tuple(own.get("seeds", [0]))
    baseline = own.get("baseline", next(iter(arms)))
    if baseline not in arms:
        raise ConfigError(f"baseline: there is no arm '{baseline}'. {nearest(baseline, arms)}")
    planned: list[Planned] = []
    for name, changes in arms.items():
        sweep = config.merge(own.get("sweep", {}), changes.get("sweep", {}))
        base = config.merge(tree, {key: value for key, value in changes.items() if key != "sweep"})
        for values, seed in itertools.product(itertools.product(*sweep.values()), seeds):
            point = tuple(zip(sweep, values))
            planned.append(_planned(name, point, seed, base, folder, data, cache))
    planned = _ordered([_linked(p, planned, arms, data, cache) for p in planned])
    title = own.get("title", path.stem)
    return Study(title, own.get("about", ""), seeds, baseline, tuple(planned), folder)


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
    words = [arm, *(f"{key.rsplit('.', 1)[-1]}={value}" for key, value in point), f"s{seed}"]
    try:
        return Planned(arm, point, run.build(tree, folder / "-".join(words), data, cache))
    except ConfigError as error:
        raise ConfigError(f"arm '{arm}': {error}") from None


def _linked(planned: Planned, others: Sequence[Planned], arms: Tree, data: Path | None, cache: Path | None) -> Planned:
    """A run whose ``start`` names an arm begins from that arm's run of the same seed and the same point."""
    start = planned.run.experiment.start
    if start not in arms:
        return planned
    ours = dict(planned.point)
    same_seed = [o for o in others if o.arm == start and o.run.experiment.seed == planned.run.experiment.seed]
    same = [o for o in same_seed if all(ours.get(key, value) == value for key, value in o.point)]
    chosen = same or same_seed
    if len(chosen) != 1:
        raise ConfigError(f"arm '{planned.arm}': start = '{start}' is not one run but {len(chosen)}.")
    tree = config.merge(planned.run.tree, {"start": "{runs}/" + chosen[0].run.folder.name})
    return Planned(planned.arm, planned.point, run.build(tree, planned.run.folder, data, cache))


def _ordered(planned: list[Planned]) -> list[Planned]:
    """Runs that others begin from come first; otherwise the order of the file, seed by seed."""
    needed = {p.run.experiment.start for p in planned}
    return sorted(planned, key=lambda p: (str(p.run.folder) not in needed, p.run.experiment.seed))


def carry_out(study: Study, jobs: int = 1) -> None:
    """Do every run that is not done, ``jobs`` at a time, each in a process of its own when more than one."""
    study.folder.mkdir(parents=True, exist_ok=True)
    refusal = f"{study.folder} is in use by another causeway process. Wait for it, or choose another folder."
    with exclusive(study.folder / "lock", wait=False, refusal=refusal):
        todo = [p for p in study.runs if not (p.run.trained and p.run.tested)]
        for p in study.runs:
            if p not in todo:
                run.refuse_other_settings(p.run, config.load(p.run.folder / "config.toml"))
        total, done = len(study.runs), len(study.runs) - len(todo)
        print(f"{study.title}: {total} runs, {done} done before.", flush=True)
        starts = {p.run.experiment.start for p in study.runs}
        for wave in (True, False):  # runs that others begin from are finished first
            batch = [p for p in todo if (str(p.run.folder) in starts) == wave]
            done = _carry_out(batch, jobs, done, total)


def _carry_out(batch: Sequence[Planned], jobs: int, done: int, total: int) -> int:
    if jobs == 1:
        for p in batch:
            print(f"[{done + 1}/{total}] {p.run.folder.name}", flush=True)
            run.work(p.run)
            done += 1
        return done
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _die_with_parent) as pool:
        working = {pool.submit(_work, p.run): p for p in batch}
        try:
            for finished in as_completed(working):
                finished.result()
                done += 1
                print(f"[{done}/{total}] {working[finished].run.folder.name}", flush=True)
        except BaseException:  # Ctrl-C reaches the workers too: each saves its run before it stops
            pool.shutdown(cancel_futures=True)
            raise
    return done


def _die_with_parent() -> None:
    """A killed study leaves no process behind that would hold on to a run's folder."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _work(one: Run) -> None:
    """``run.work`` in a process of its own; what a user can mend comes back as a sentence that names the run."""
    try:
        run.work(one)
    except (ConfigError, DataError, MissingExtra) as error:
        raise ConfigError(f"{one.folder.name}: {error}") from None


def table(study: Study, metrics: Mapping[str, Metric]) -> list[Row]:
    """Every arm, point and metric over the finished seeds, each beside the baseline at the same point."""
    groups: dict[tuple[str, str], list[Planned]] = {}
    for p in study.runs:
        if p.run.tested:
            groups.setdefault((p.arm, p.label), []).append(p)
    traces = {key: [p.run.traces for p in group] for key, group in groups.items()}
    rows = []
    for (arm, label), runs in traces.items():
        base = _baseline(study, label, traces)
        for name, measured in evaluate.measure(runs, metrics).items():
            metric = metrics[name]
            against = None if arm == study.baseline or base is None else evaluate.difference(runs, base, metric)
            crashed = sum(1 for run_traces in runs for trace in run_traces if trace.error)
            count = sum(len(run_traces) for run_traces in runs)
            counts = len(runs), count, crashed
            about = name, metric.version, metric.direction, metric.unit
            rows.append(Row(arm, label, *about, *counts, measured, against, verdict(against, metric.direction)))
    return rows


def _baseline(
    study: Study, label: str, traces: Mapping[tuple[str, str], list[list[Trace]]]
) -> list[list[Trace]] | None:
    """The baseline at the same point, or wherever it stands if it has but one point."""
    if (study.baseline, label) in traces:
        return traces[study.baseline, label]
    own = [runs for (arm, _), runs in traces.items() if arm == study.baseline]
    return own[0] if len(own) == 1 else None


def verdict(against: Measure | None, direction: str) -> str:
    """What the interval of a difference allows us to say."""
    if against is None:
        return ""
    if against.low <= 0 <= against.high:
        return "no difference shown"
    return "better" if (against.value > 0) == (direction == "higher") else "worse"


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """``results.csv``: one line a row, numbers in full."""
    head = [*Row._fields[:9], "value", "low", "high", "difference", "difference_low", "difference_high", "verdict"]
    with whole(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(head)
        for row in rows:
            lines.writerow([*row[:9], *row.measure, *(row.against or ("", "", "")), row.verdict])
