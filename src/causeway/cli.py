"""The command line: each command is a few lines over the library. Those of pictures are in ``cli_gap``."""

import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer

from . import catalog, config, console
from . import cli_gap as cli_gap  # which adds its commands
from .errors import ConfigError, DataError, Interrupted, MissingExtra
from .options import Cache, Csv, Data, Folder, Overrides, app, component, fail, format_of


def main() -> None:
    """Run the command line; a mistake is one sentence on standard error, not a traceback."""
    sys.path.insert(0, "")  # components of one's own may lie in the present folder
    try:
        code = app(standalone_mode=False) or 0
        if code == 130:  # Typer makes this of KeyboardInterrupt
            fail("Stopped. The same command goes on from what was saved.", 130)
        sys.exit(code)
    except OSError as error:
        plain = error.filename and error.strerror and not error.filename2
        fail(f"OSError: {f'{error.filename}: {error.strerror}.' if plain else error}", 2)
    except (ConfigError, DataError, MissingExtra, FloatingPointError) as error:
        kind = DataError if isinstance(error, DataError) else type(error)
        fail(f"{kind.__name__}: {error}", 2)
    except Interrupted as error:
        fail(str(error), 130)
    except typer.Abort:
        fail("Stopped.", 130)
    except Exception as error:
        show = getattr(error, "show", None)  # a usage error of the command line itself
        if show is None:
            raise
        show()
        sys.exit(getattr(error, "exit_code", 2))


@app.command()
def quickstart(folder: Path = Path("runs/quickstart"), jobs: int = 2) -> None:
    """Collect demonstrations in two looks of the embedded simulator, cross between them in four ways, read the report.

    Example: causeway quickstart
    """
    data = folder / "data"
    for preset, episodes, seed in (("source", 60, 0), ("target", 6, 500)):
        if not (data / preset).exists():
            size = ["height=48", "width=72"]
            collect("lanes", data / preset, [f"preset={preset}", *size], episodes, seed, noise=0.1)
    with resources.as_file(resources.files("causeway") / "quickstart.toml") as file:
        run(file, None, data=data, folder=folder, jobs=jobs)


@app.command()
def collect(
    simulator: str,
    destination: Path,
    settings: Overrides = None,
    episodes: Annotated[int, typer.Option(min=1, help="Demonstrations to keep; failed ones are thrown away.")] = 50,
    seed: Annotated[int, typer.Option(help="Of the first episode; the others follow.")] = 0,
    noise: Annotated[
        float, typer.Option(help="How hard the expert is pushed off its path, so that it shows how to return.")
    ] = 0.1,
) -> None:
    """Record a simulator's expert into a dataset.

    Example: causeway collect lanes data/sim preset=source --episodes 50
    """
    from .collect import record

    worlds = component("simulator", simulator, settings or ())
    count, frames = record(worlds, destination, episodes, seed, noise)
    print(f"{destination}: {count} episodes, {frames:,} frames.")


@app.command("import")
def import_(format: str, source: Path, destination: Path, settings: Overrides = None) -> None:
    """Turn recordings of another format into a LeRobot v3.0 dataset.

    Example: causeway import donkey ~/mycar/data data/real
    """
    from .recorder import copy

    dataset = component("dataset", format, [f"root={source}", *(settings or ())]).build()
    copy(dataset, destination)
    print(f"{destination}: {len(dataset.episodes)} episodes, {sum(map(len, dataset.episodes)):,} frames.")


@app.command()
def check(path: Path, format: Annotated[str, typer.Option(help="Skip guessing the format.")] = "") -> None:
    """Read a whole dataset and say everything that is wrong with it, episode by episode; else what it holds.

    Exits 1 if anything is wrong.

    Example: causeway check data/real
    """
    name = format or format_of(path)
    module = catalog.find("dataset", name)
    dataset = module.Config(root=str(path)).read()
    found = list(dataset.problems())
    for problem in found:
        print(problem)
    if found:
        print(f"{path}: {len(found)} problem{'s' if len(found) > 1 else ''}.")
        raise typer.Exit(1)
    print(
        f"{path}: {name}, {len(dataset.episodes)} episodes, {sum(map(len, dataset.episodes)):,} frames, nothing wrong."
    )
    console.described(dataset)


@app.command()
def pair(
    source: Path,
    target: Path,
    destination: Path,
    settings: Overrides = None,
    by: Annotated[
        list[str] | None, typer.Option(help="A state or action to compare; repeatable. All of the state.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Target episodes at a time.")] = 2,
) -> None:
    """Find which source episodes do what each target episode does, and when, by dynamic time warping.

    Example: causeway pair data/sim data/real data/pairs.parquet target.select=t1 --by steering
    """
    from . import pairs

    tree: config.Tree = {
        side: {"name": format_of(path), "root": str(path)} for side, path in (("source", source), ("target", target))
    }
    for item in settings or ():
        if not item.startswith(("source.", "target.")):
            raise ConfigError(f"'{item}' is of neither side. Write it as source.key=value or target.key=value.")
        config.override(tree, item)
    ours, theirs = (config.component("dataset", tree[side], side).build() for side in ("source", "target"))
    console.paired(destination, pairs.pair(ours, theirs, destination, by or (), jobs))


@app.command()
def train(
    file: Path, overrides: Overrides = None, data: Data = None, folder: Folder = None, cache: Cache = None
) -> None:
    """Train and test one run of an experiment file without arms.

    Example: causeway train experiments/one.toml train.steps=500 --data data --folder runs/one
    """
    tree = _experiment(file, overrides)
    if "arms" in tree or "seeds" in tree:
        raise ConfigError(f"{file} has arms or seeds: it is a study. Carry it out with: causeway run {file}")
    from . import run as runs
    from . import running

    one = runs.build(tree, folder or Path("runs") / file.stem, data, cache)
    running.work(one)
    _refuse_crashes(console.measures([("target", one.traces)], config.metrics({}), None))


@app.command(hidden=True)
def rank(folder: Path) -> None:
    """The training of one rank of a run that has several; started by that run itself."""
    from . import ranks, running
    from . import run as runs

    ranks.leave_with_parent()
    one = runs.open_run(folder)
    running.train_part(one, *running.domains(one))


@app.command()
def run(
    file: Path,
    overrides: Overrides = None,
    data: Data = None,
    folder: Folder = None,
    cache: Cache = None,
    arm: Annotated[list[str] | None, typer.Option(help="Only this arm, and what it needs; repeatable.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time, each in a process of its own.")] = 1,
    allow_failures: Annotated[bool, typer.Option(help="Exit 0 even if episodes crashed.")] = False,
) -> None:
    """Carry out a study: every arm, sweep and seed of an experiment file, then its table and report.

    What is done is not done again, and what was killed goes on.
    Example: causeway run experiments/donkey.toml --data ../shared/data
    """
    _experiment(file, overrides)
    from . import study as studies

    study = studies.plan(file, folder or Path("runs") / file.stem, overrides or (), data, cache)
    failed = studies.carry_out(study, jobs, arm or ())
    crashed = _publish(study)
    if failed:
        fail(f"{len(failed)} runs failed: {', '.join(failed)}. Each has an error.txt in its folder.", 1)
    if crashed and not allow_failures:
        fail(f"{crashed} episodes crashed: see the report. --allow-failures accepts them.", 1)


@app.command()
def evaluate(
    run: Path,
    dataset: Annotated[Path | None, typer.Option(help="Recordings to replay, open loop.")] = None,
    simulator: Annotated[str, typer.Option(help="A simulator to drive in, closed loop, e.g. lanes.")] = "",
    settings: Overrides = None,
    data: Data = None,
    cache: Cache = None,
    csv: Csv = None,
    metrics: Annotated[
        Path | None, typer.Option(help="An experiment file whose [metrics] are measured beside the usual ones.")
    ] = None,
    each: Annotated[bool, typer.Option(help="A line for each episode too.")] = False,
) -> None:
    """Score a finished run on anything else.

    Example: causeway evaluate runs/quickstart/transport-s0 --simulator lanes preset=target
    """
    import torch

    from . import finished, parts
    from . import run as runs

    own = _experiment(metrics, ()).get("metrics", {}) if metrics else {}
    if metrics and not own:
        raise ConfigError(f"{metrics} has no [metrics] to measure by.")
    if csv and not csv.absolute().parent.is_dir():
        raise ConfigError(f"--csv {csv}: there is no folder {csv.parent}.")
    measured = config.metrics(own)
    one = runs.open_run(run, data, cache)
    for name in own:
        measured[name].refuse_other_actions(name, parts.fits(run)[1].actions)
    if one.experiment.train.threads:
        torch.set_num_threads(one.experiment.train.threads)
    if bool(dataset) == bool(simulator):
        raise ConfigError("Say where to score the run: either --dataset PATH or --simulator NAME.")
    if dataset:
        chosen = component("dataset", format_of(dataset), [f"root={dataset}", *(settings or ())])
        traces = finished.test_on_recordings(one, chosen)
    else:
        traces = finished.test_in_simulator(one, component("simulator", simulator, settings or ()))
    named = [(str(dataset or simulator), traces)]
    if each:
        episodes = dict.fromkeys(trace.name.split("@")[0] for trace in traces)
        named += [(f"episode {e}", [t for t in traces if t.name.split("@")[0] == e]) for e in episodes]
    _refuse_crashes(console.measures(named, measured, csv, own))


@app.command()
def report(
    file: Path, overrides: Overrides = None, data: Data = None, folder: Folder = None, cache: Cache = None
) -> None:
    """Make the table and the page of a study anew, from what is done so far.

    Example: causeway report experiments/donkey.toml --data ../shared/data
    """
    _experiment(file, overrides)
    from . import study as studies

    study = studies.plan(file, folder or Path("runs") / file.stem, overrides or (), data, cache)
    if not study.folder.is_dir():
        raise ConfigError(f"There is no folder {study.folder}: nothing of this study has been done there.")
    _publish(study)


@app.command("list")
def list_(kind: str = typer.Argument(""), name: str = typer.Argument("")) -> None:
    """Show every component, those of one kind, the settings of one, or those of a section of an experiment file.

    Example: causeway list alignment transport
    """
    console.listed(kind, name)


def _experiment(file: Path, overrides: Sequence[str] | None) -> config.Tree:
    """An experiment file, read before anything slow is imported; components may lie beside it."""
    tree = config.load(file, overrides or ())
    sys.path.insert(1, str(file.parent.absolute()))
    return tree


def _publish(study: Any) -> int:
    """Write results.csv and report.html, print the table, and count the episodes that crashed."""
    from . import report as reports
    from . import results

    rows = results.table(study, study.metrics)
    results.write_csv(rows, study.folder / "results.csv")
    console.rows(rows)
    reports.write(study, rows, study.folder / "report.html")
    print(f"{study.folder / 'results.csv'}\n{study.folder / 'report.html'}")
    return sum(row.failed for row in {(row.arm, row.point): row for row in rows}.values())


def _refuse_crashes(crashed: int) -> None:
    if crashed:
        fail(f"{crashed} episodes crashed.", 1)
