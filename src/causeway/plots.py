"""Figures as inline SVG that takes its colours from the page, so that one picture serves light and dark."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .results import Row

COLOURS = 8  # arms that get a colour of their own; more begin again, dashed
PALETTE = {  # what figures are drawn with, on light paper and on dark; a domain's colour is never an arm's
    "ink": ("#16181d", "#e9eaed"),
    "muted": ("#5d646f", "#9ba2ad"),
    "grid": ("#e4e5e8", "#2b2f36"),
    "source": ("#5b2fb5", "#a584ff"),  # violet and gold: far apart however colours are seen
    "target": ("#a68a00", "#f7dc3c"),
    "base": ("#7a808a", "#9298a3"),
    "arm0": ("#0072b2", "#56b4e9"),
    "arm1": ("#c2500a", "#ff9248"),
    "arm2": ("#00805c", "#2fc898"),
    "arm3": ("#c0408c", "#ec7fbd"),
    "arm4": ("#6d4030", "#c2937a"),
    "arm5": ("#2490c8", "#9adcf8"),
    "arm6": ("#9c1c3c", "#f2708a"),
    "arm7": ("#3d7a12", "#93d05a"),
}
INK = {name: f"#0000{number:02x}" for number, name in enumerate(PALETTE, 1)}  # stand-ins for the page's own colours
STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK["muted"],
    "axes.labelcolor": INK["muted"],
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK["grid"],
    "grid.linewidth": 0.8,
    "text.color": INK["ink"],
    "xtick.color": INK["muted"],
    "ytick.color": INK["muted"],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}
DODGE = 0.025  # of the way from one point of a sweep to the next, between arms
NARROW, WIDE = 330.0, 1000.0  # widths in pixels of a phone and of the whole page


class Curve(NamedTuple):
    """One line of a learning curve."""

    arm: int  # its place among the arms; 0 is the baseline
    steps: list[int]
    values: list[float]


def colour(arm: int) -> str:
    """The name of an arm's colour: grey for the baseline, which is arm 0."""
    return "base" if arm == 0 else f"arm{(arm - 1) % COLOURS}"


def dashes(arm: int) -> str:
    """Solid lines until the colours are used up."""
    return "-" if arm <= COLOURS else "--"


def sweep(rows: Sequence[Row], arms: Sequence[str], points: Sequence[str], words: str) -> Markup:
    """One metric over the points of the sweep, its interval as a band; an arm with one point stands as a bar."""
    with rc_context(STYLE):
        figure, axes = _figure(NARROW, 250)
        for number, arm in reversed(list(enumerate(arms))):
            own = {row.point: row.measure for row in rows if row.arm == arm}
            stops = [place for place, point in enumerate(points) if point in own]
            if not stops:
                continue
            value, low, high = (np.array(part) for part in zip(*(own[points[place]] for place in stops)))
            ink, dash = INK[colour(number)], dashes(number)
            at = np.array(stops) + DODGE * (number - len(arms) / 2)  # so that dots do not hide one another
            if number == 0 and len(at) == 1:
                axes.axhline(value[0], color=ink, linestyle=(0, (4, 3)), linewidth=1.2)
                if np.isfinite(low[0]):
                    axes.axhspan(low[0], high[0], color=ink, alpha=0.14, linewidth=0)
            elif len(at) == 1:
                axes.errorbar(at, value, [value - low, high - value], color=ink, linewidth=1.8)
            axes.plot(at, value, color=ink, linestyle=dash, marker="o", markersize=5, clip_on=False)
            if len(at) > 1:
                axes.fill_between(at, low, high, color=ink, alpha=0.14, linewidth=0)
        names = [point.split("=", 1)[-1] if point.count("=") == 1 else point for point in points]
        axes.set_xticks(range(len(points)), names)
        axes.set_xlim(-0.25, len(points) - 0.75)
        axes.set_xlabel(words)
        return _svg(figure, f"sweep {rows[0].metric}", f"{rows[0].metric} of every arm over {words}")


def learning(name: str, curves: Sequence[Curve], arms: Sequence[str]) -> Markup:
    """One term of the log over the steps of training."""
    with rc_context(STYLE):
        figure, axes = _figure(NARROW, 220)
        for curve in curves:
            single = len(curve.steps) == 1
            ink, dash = INK[colour(curve.arm)], dashes(curve.arm)
            axes.plot(curve.steps, curve.values, dash, color=ink, linewidth=1.5, marker="o" if single else "")
        axes.set_xlabel("step")
        axes.locator_params(axis="x", nbins=5)
        shown = ", ".join(dict.fromkeys(arms[curve.arm] for curve in curves))
        return _svg(figure, f"learning {name}", f"{name} while training: {shown}")


def predictions(
    time_s: NDArray[Any],
    truth: NDArray[Any],
    guesses: Mapping[int, NDArray[Any]],
    arms: Sequence[str],
    words: str,
    width: float,
) -> Markup:
    """What was done and what each arm would have done, one panel an arm under the other, ``words`` along the side."""
    with rc_context(STYLE):
        height = 165 if width > NARROW else 140
        figure = Figure(figsize=(width / 72, len(guesses) * height / 72 + 0.3), layout="constrained")
        panels = figure.subplots(len(guesses), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        breaks = np.flatnonzero(np.diff(time_s) > 1.0) + 1
        for axes, (arm, guess) in zip(panels, guesses.items()):
            axes.plot(*_broken(time_s, truth, breaks), color=INK["ink"], linewidth=1.1)
            axes.plot(*_broken(time_s, guess, breaks), color=INK[colour(arm)], linewidth=1.6)
            axes.set_title(arms[arm], loc="left", fontsize=11, color=INK["ink"])
            axes.set_ylabel(words)
            axes.margins(x=0.01)
            axes.locator_params(axis="y", nbins=5)
        panels[-1].set_xlabel("seconds")
        said = f"recorded action and what {', '.join(arms[arm] for arm in guesses)} predicted"
        return _svg(figure, f"predictions {width:g}", said)


def _broken(time_s: NDArray[Any], values: NDArray[Any], breaks: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.insert(time_s, breaks, np.nan), np.insert(values.astype(np.float64), breaks, np.nan)


def scatter(source: NDArray[Any], target: NDArray[Any], name: str) -> Markup:
    """Two feature clouds (N, 2) in the plane that holds most of their spread."""
    with rc_context(STYLE):
        figure, axes = _figure(NARROW, 300)
        for cloud, side, marker in ((source, "source", "o"), (target, "target", "^")):
            style = {"s": 22, "alpha": 0.6, "linewidths": 0, "marker": marker}
            axes.scatter(cloud[:, 0], cloud[:, 1], color=INK[side], **style)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel("first principal component")
        axes.set_ylabel("second")
        return _svg(figure, f"scatter {name}", f"features of source and target in the policy of {name}")


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Figure, salt: str, said: str) -> Markup:
    """The figure without declarations, addresses, sizes and fonts, its stand-in colours named."""
    file = io.StringIO()
    with rc_context({"svg.hashsalt": salt}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r' (xmlns|xmlns:xlink)="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r' id="(figure|axes|patch|line2d|text|matplotlib|xtick|ytick)[^"]*"', "", text)
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", text)
    text = re.sub(r'^<svg[^>]*?(viewBox="[^"]*")[^>]*', r"<svg \1", text)
    for name, stand_in in INK.items():
        text = text.replace(stand_in, f"var(--{name})")
    label = str(Markup.escape(said))
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1))
