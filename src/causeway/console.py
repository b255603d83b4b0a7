"""Tables for a terminal."""

import csv
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from . import catalog
from .errors import ConfigError, nearest
from .written import number


def _interval(low: float, high: float, sign: str = "") -> str:
    """An interval, or a dash where there are too few episodes for one."""
    return "–" if math.isnan(low) else f"[{number(low, sign)}, {number(high, sign)}]"


def listed(kind: str, name: str) -> None:
    """Every component, those of a kind, or the settings of a component or a section, which may stand as ``kind``."""
    if kind and kind not in catalog.FOLDERS:
        of = [each for each in catalog.FOLDERS if kind in catalog.names(each)]
        if len(of) > 1:
            raise ConfigError(f"'{kind}' is of several kinds. Say which: causeway list {of[0]} {kind}")
        if not of:  # else the name of a component says its kind
            return section(kind)
        kind, name = of[0], kind
    if kind and not catalog.names(kind):
        raise ConfigError(f"There is no {kind} yet.")
    if name:
        module = catalog.find(kind, name)
        return settings(module.__doc__ or "", module.Config)
    components([kind] if kind else [each for each in sorted(catalog.FOLDERS) if catalog.names(each)])


def components(kinds: Sequence[str]) -> None:
    """Every component of some kinds, in a line each."""
    table = Table("kind", "name", "what it is", box=None)
    for kind in kinds:
        for name in catalog.names(kind):
            table.add_row(kind, name, catalog.summary(kind, name))
    Console().print(table)


def settings(about: str, config: Any) -> None:
    """What a component or section is about, and each of its settings."""
    console = Console()
    console.print(about.strip() + "\n", markup=False)
    table = Table("setting", "type", "default", "meaning", box=None)
    for setting in catalog.settings(config):
        table.add_row(*setting)
    console.print(table)


def section(name: str) -> None:
    """What a section of an experiment file is about, and its settings."""
    from . import domain, evaluate, gap, run, train

    sections: dict[str, Any] = {
        "experiment": run.Experiment,
        "source": domain.Config,
        "target": domain.Config,
        "picture": domain.Picture,
        "train": train.Training,
        "evaluate": evaluate.Evaluation,
        "gap": gap.Comparison,
    }
    if name not in sections:
        known = [*catalog.FOLDERS, *sections]
        raise ConfigError(f"There is no kind, component or section '{name}'. {nearest(name, known)}")
    settings(sections[name].__doc__ or "", sections[name])


def described(dataset: Any) -> None:
    """What a Dataset holds whose problems were looked for, a line each: what an experiment file and the other side must
    agree with."""
    lengths = [len(episode) for episode in dataset.episodes]
    if not any(lengths):
        return
    sizes = [size if len(dataset.sizes) == 1 else f"{count} of {size}" for size, count in dataset.sizes.most_common()]
    shown_by = sum(episode.actions is not None for episode in dataset.episodes)
    lines = {
        "cameras": f"{', '.join(dataset.cameras)}: {', '.join(sizes)}",
        "rate": f"{dataset.rate_hz:g} Hz, {min(lengths)} to {max(lengths)} frames an episode",
        "state": ", ".join(dataset.state_names) or "none",
        "actions": ", ".join(dataset.action_names) or "none",
        "points": f"{dataset.points} in a cloud" if dataset.points else "none",
    }
    if shown_by < len(lengths):
        lines["actions"] += f", in {shown_by} of {len(lengths)} episodes"
    for name, line in lines.items():
        print(f"{name:9}{line}")


def paired(path: Path, distances: Any) -> None:
    """How near the episodes of a new file of pairs are, by their ``distances`` (target, source episodes)."""
    import numpy as np

    from .draws import Pairing, breadth, shares

    near, usual = distances.min(1), Pairing()
    drawn = breadth(shares(usual, distances))
    print(f"{path}: {distances.size:,} pairs.")
    print(
        f"distances: {np.median(distances):.3g} in the middle; of a target episode to its nearest source episode "
        f"{near.min():.3g} to {near.max():.3g}, {np.median(near):.3g} in the middle"
    )
    print(
        f"by the default method.pairs (sharpness {usual.sharpness:g}, middle {usual.middle:g}) a target episode draws "
        f"from about {drawn:.0f} of {distances.shape[1]} source episodes; raise sharpness to draw from "
        "fewer, lower it to draw from more"
    )


def rows(lines: Sequence[Any]) -> None:
    """The table of a study."""
    table = Table("arm", "point", "metric", "value", "95 % interval", "against the baseline", box=None)
    for row in lines:
        value, low, high = row.measure
        against = (
            f"{number(row.against.value, '+')} {_interval(row.against.low, row.against.high, '+')} {row.verdict}"
            if row.against
            else ""
        )
        table.add_row(row.arm, row.point, row.metric, number(value), _interval(low, high), against)
    _wide().print(table)


def measures(
    named: Sequence[tuple[str, Any]], metrics: Mapping[str, Any], path: Path | None, asked: Iterable[str] = ()
) -> int:
    """Print the table, write it to ``path`` if there is one, and count the episodes that crashed.

    Metrics that were ``asked`` for by name and that nothing here tells of are said to be missing.
    """
    from .evaluate import measure

    table = Table("on", "metric", "value", "95 % interval", "version", box=None)
    lines = [["on", "metric", "value", "low", "high", "version"]]
    for name, traces in named:
        for metric, (value, low, high) in measure([traces], metrics).items():
            version = str(metrics[metric].version)
            table.add_row(name, metric, number(value), _interval(low, high), version)
            lines.append([name, metric, repr(value), repr(low), repr(high), version])
        crashed = [trace for trace in traces if trace.error]
        if crashed:
            print(f"{len(crashed)} of {len(traces)} episodes crashed: {crashed[0].error}", file=sys.stderr)
    Console().print(table)
    if missing := set(asked) - {line[1] for line in lines}:
        print(f"Nothing was found to measure {', '.join(sorted(missing))} by: no value.", file=sys.stderr)
    if path:
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(lines)
    return sum(bool(trace.error) for trace in named[0][1])


def readings(report: Any, path: Path) -> None:
    """Print every number of a gap's report and write it to ``path``; what each channel of the features carries of the
    distance of their means, most first, to ``channels.csv`` beside it."""
    table = Table("number", "value", "95 % interval", "unit", box=None)
    lines = [["number", "value", "low", "high", "unit", "version", "encoder", "pictures_a", "pictures_b"]]
    for each in report.readings.values():
        value, low, high = each.measure
        bounds = "–" if math.isnan(low) else f"[{low:.4g}, {high:.4g}]"
        table.add_row(each.name, f"{value:.4g}", bounds, each.unit)
        numbers = [repr(float(number)) for number in each.measure]
        lines.append([each.name, *numbers, each.unit, str(each.version), report.encoder, *map(str, report.counts)])
    Console().print(table)
    print(f"{report.counts[0]} pictures of A, {report.counts[1]} of B, seen by {report.encoder}.")
    shares = sorted(enumerate(report.channels), key=lambda pair: -pair[1])
    carried = [["channel", "per_cent"], *([str(place), repr(100 * float(share))] for place, share in shares)]
    for place, table_of in ((path, lines), (path.with_name("channels.csv"), carried)):
        with open(place, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(table_of)


def ranked(rankings: Sequence[Any], path: Path | None) -> None:
    """Print how well simulation ranks the policies of each task, and write it to ``path`` if there is one."""
    numbers = ("pearson", "spearman", "mmrv")
    table = Table("task", "policies", *numbers, box=None)
    lines = [["task", "policies", *(f"{name}{end}" for name in numbers for end in ("", "_low", "_high"))]]
    for each in rankings:
        found = [getattr(each, name) for name in numbers]
        cells = [f"{number(value)} {_interval(low, high)}" for value, low, high in found]
        table.add_row(each.task, str(each.policies), *cells)
        lines.append([each.task, str(each.policies), *(repr(float(n)) for measure in found for n in measure)])
    _wide().print(table)
    print("mmrv: real score lost at worst by the simulated order, lower is better; –: too few policies, or no spread.")
    if path:
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(lines)


def _wide() -> Console:
    """A console that cuts no long names where its lines go to a file."""
    return Console(width=None if sys.stdout.isatty() else 140)
