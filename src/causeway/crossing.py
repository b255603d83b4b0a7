"""Bridges at work in a run: on what is trained on, and measured on moments that they did not learn from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from . import config, gap, redraw
from .bridges import Bridge
from .data import Domain, Moments
from .gap import Comparison
from .judges import Judge
from .readings import Report

SETS = ("labelled", "unlabelled", "guessed", "tune")  # of a domain; what is tested is redrawn by the agent


def redrawn(side: Domain, bridge: Bridge, judges: Sequence[Judge], word: str) -> Domain:
    """The side with what is trained on redrawn; the ``word`` stands for the bridge and its judges."""
    frames = redraw.kept(bridge, side.unlabelled, Path(side.cache), word, judges).frames
    return replace(side, **{name: replace(getattr(side, name), frames=frames) for name in SETS})


def measure(bridge: Bridge, settings: Comparison, to: str, source: Domain, target: Domain) -> Report:
    """How much of the gap the bridge closes, and at what cost, on moments that it did not learn from."""
    ours, theirs = between(settings, to, source, target)
    return gap.compare(settings, config.instruments(settings), ours, theirs, redraw.through(bridge, ours))


def between(settings: Comparison, to: str, source: Domain, target: Domain) -> tuple[Moments, Moments]:
    """The moments that a bridge ``to`` a side is measured on: those it redraws, and those they are to look like.

    They are those kept to test on, else those to tune on; where a side was learned from as a whole, as one of a handful
    of pictures is, those stand for it.
    """
    held = [next(m for m in (side.test, side.tune, side.unlabelled) if len(m)).hidden() for side in (source, target)]
    ours, theirs = held if to == "target" else held[::-1]
    return gap.chosen(ours, settings.pictures), gap.chosen(theirs, settings.pictures)
