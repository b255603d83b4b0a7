"""The commands of pictures and scores on both sides of the gap."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from . import config, console
from .errors import ConfigError
from .options import Cache, Csv, Data, Folder, Overrides, app, format_of


@app.command()
def gap(
    a: Path,
    b: Path,
    settings: Overrides = None,
    through: Annotated[
        Path | None,
        typer.Option(help="A run that left a bridge, or A as redraw or another program redrew it."),
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="A run of a policy: the gap as that has it, too.")] = None,
    scores: Annotated[
        Path | None, typer.Option(help="CSV of policies' scores on both sides, for the page: see causeway ranking.")
    ] = None,
    folder: Folder = None,
    cache: Cache = None,
) -> None:
    """Measure how far two sets of pictures lie apart, and how much nearer a bridge brings the first to the second.

    Writes gap.csv, channels.csv and gap.html.
    Example: causeway gap data/sim data/real gap.encoder=squeezenet gap.encoder.weights=FILE --through runs/cut
    """
    from . import between, disk, gap_page, run
    from . import ranking as rankings

    ranked = rankings.all_of(scores) if scores else []
    asked = _asked(a, b, settings or ())
    place = folder or Path("runs") / "gap"
    disk.made(place, "--folder")
    if through is not None and any(through.glob("*/config.toml")):
        run.open_run(through)  # a study, which says which runs it holds
    kind = "images" if through is None or (through / "config.toml").exists() else format_of(through)
    compared = between.compare(asked, cache or place / "cache", through, policy, kind)
    console.readings(compared.report, place / "gap.csv")
    names = [path.name or str(path) for path in (a, b)]
    gap_page.write(compared, (names[0], names[1], through.name if through else ""), place / "gap.html", ranked)
    print("\n".join(str(place / name) for name in ("gap.csv", "channels.csv", "gap.html")))


def _asked(a: Path, b: Path, settings: Sequence[str]) -> Any:
    """What ``gap`` is to compare, and how: the folders' formats guessed, a setting of each a.key=value or so."""
    from . import between

    tree: config.Tree = {"a": {}, "b": {}}
    for item in settings:
        config.override(tree, item)
    for side, path in (("a", a), ("b", b)):
        _guess(tree[side], path)
    return config.structure(between.Asked, tree, "", "gap")


def _guess(tree: config.Tree, path: Path) -> None:
    """Guess the format of the recordings in ``path``, unless the settings name it: ``dataset=images``, or
    ``dataset.name=images``."""
    said = tree.get("dataset", {})
    asked = said if isinstance(said, dict) else {"name": said}
    tree["dataset"] = {"root": str(path), **asked, "name": asked.get("name") or format_of(path)}


@app.command()
def ranking(scores: Path, csv: Csv = None) -> None:
    """Tell whether simulation ranks policies as reality does, from a CSV of task, policy, simulated, real.

    Example: causeway ranking scores.csv
    """
    from . import ranking as rankings

    console.ranked(rankings.all_of(scores), csv)


@app.command()
def redraw(
    dataset: Path,
    destination: Path,
    settings: Overrides = None,
    bridge: Annotated[
        str, typer.Option(help="A run that left a bridge, or the name of one that needs none, e.g. conditions.")
    ] = "",
    vary: Annotated[
        list[str] | None,
        typer.Option(help="Conditions, a copy of every episode in each: weather=rain,rain+night; repeatable."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that redraw, by Ray if more than one.")] = 1,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Redraw all pictures of a dataset into a LeRobot dataset; actions, state and time stay as they are.

    Stopped half-way, the same command goes on.
    Example: causeway redraw data/sim data/sim_rain --bridge conditions --vary weather=rain,fog
    """
    from . import redrawing, run

    if not bridge:
        raise ConfigError("Say what redraws: --bridge RUN, or --bridge NAME.")
    tree: config.Tree = {}
    named = not (Path(bridge).is_dir() or "/" in bridge)  # rather than the folder of a run
    if named:
        tree["bridge"] = {"name": bridge}
    else:
        run.open_run(Path(bridge))  # which says what is wrong with it
    for item in settings or ():
        config.override(tree, item)
    _guess(tree, dataset)
    quick = {} if named else tree.pop("bridge", {})  # of a run's own bridge
    asked = config.structure(redrawing.Asked, tree, "", "redraw")
    words = redrawing.conditions(vary or ())
    episodes, frames = redrawing.write(asked, Path(bridge), destination, words, data, cache, workers, quick)
    own = getattr(asked.bridge, "condition", "") if named else ""  # what it redraws in, told no other
    drawn = ", ".join(words) or own
    print(f"{destination}: {episodes} episodes, {frames:,} frames" + (f", in {drawn}." if drawn else "."))
