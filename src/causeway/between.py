"""Two sets of recordings, how far they lie apart, and how much nearer a bridge or another program brings them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import acting, agreement, config, domain, finished, parts, redraw, redrawing, run
from .cache import ALIKE, Crop, refuse_within, remaining
from .data import Moments
from .datasets import Dataset
from .errors import ConfigError, DataError
from .gap import Comparison, chosen
from .gap import compare as measured
from .halves import Halves
from .progress import say_once
from .readings import Report

Shape = tuple[float, float]  # of a picture after its crop: height, width
SIZE = domain.Picture(height=144, width=256)  # of pictures that no run says the size of


class Compared(NamedTuple):
    """What was measured, on which pictures."""

    report: Report
    ours: Moments
    theirs: Moments
    redrawn: NDArray[np.uint8] | None  # (N, V, 3, H, W), the moments of ``ours``


@dataclass(frozen=True)
class Side:
    """Recordings of which the pictures are compared."""

    dataset: Any = None  # which
    episodes: int | Literal["all"] = "all"  # how many of them, the first ones
    crop: Crop = field(default_factory=Crop)  # what is cut off the pictures before they are resized


@dataclass(frozen=True)
class Asked:
    """What is compared with what, and how."""

    a: Side  # what may be redrawn
    b: Side  # what it is to look like
    gap: Comparison = field(default_factory=Comparison)
    picture: domain.Picture = SIZE  # of both; a bridge's run says the size itself


def compare(
    asked: Asked, cache: Path, through: Path | None = None, policy: Path | None = None, redrawn_as: str = "images"
) -> Compared:
    """The gap from a to b, and what is left of it where a goes ``through`` something; as the ``policy`` of a run has it
    too, if one is named.

    ``through`` is the folder of a bridge's run, or of the moments of a as somebody else redrew them, one by one, in a
    dataset of the kind ``redrawn_as``. Pictures have the size, and where nothing else is asked the crop, that the run
    knows. Raises ConfigError, DataError.
    """
    one = run.open_run(through) if through and (through / "config.toml").exists() else None
    asked_run = None if policy is None else run.open_run(policy)
    agent = None if asked_run is None else finished.unbridged(asked_run)
    opened = ((through, one), (policy, asked_run))
    known = {path: found.experiment.picture for path, found in opened if path and found}
    picture = _size(asked.picture, known)
    tools = config.instruments(asked.gap)
    a, b = _crops(asked, one or asked_run, through)
    datasets = [side.dataset.build() for side in (a, b)]
    for each in datasets:
        refuse_within(each.root, cache)
    _tell_a_whole(*(Path(each.root) for each in datasets))
    sides = [_blank(name, of, side, picture, cache) for name, of, side in zip("ab", datasets, (a, b))]
    shapes = [remaining(of, side.crop) for of, side in zip(datasets, (a, b))]
    if not known and asked.picture == SIZE:
        _tell_a_stretch(shapes)
    if policy is not None:
        _refuse_others(policy, sides)
        for name, side in (("a", a), ("b", b)):
            finished.tell_another_crop(policy, side.crop, f"{name} is")
    ours, theirs = (
        domain.shown(chosen(blank, asked.gap.pictures), of, side.crop, cache)
        for of, blank, side in zip(datasets, sides, (a, b))
    )
    redrawn = None
    if one is not None:
        bridge = finished.bridge_of(one.folder)
        _tell_what_it_knows(one, asked)
        redrawn = redraw.through(bridge, ours)
    elif through:
        redrawn = _by_another(redrawn_as, through, shapes[0], ours, cache)
    report = measured(asked.gap, tools, ours, theirs, redrawn)
    if agent is not None and policy is not None:
        halves = Halves(ours, theirs, asked.gap.stretch_s, asked.gap.resamples)
        acted = {each.name: each for each in acting.readings(agent, ours, theirs, redrawn, halves)}
        report = report._replace(readings={**report.readings, **acted})
    return Compared(report, ours, theirs, redrawn)


def _tell_what_it_knows(one: run.Run, asked: Asked) -> None:
    """A bridge redraws one side in the look of the other: say so where it is given what it is to look like, and where
    it learned from what it is given."""
    ours, theirs = (side.dataset for side in run.crossed_sides(one.experiment))
    given = asked.a.dataset.root
    if theirs is not None and agreement.same_place(given, theirs.root):
        say_once(f"{one.folder} gives pictures the look of {theirs.root}, which a already has.")
    elif ours is not None and agreement.same_place(given, ours.root):
        say_once(
            f"{one.folder} learned from {given}, all or in part: its study measured it on what was held back, this is "
            "no such test."
        )


def _refuse_others(policy: Path, sides: Sequence[Moments]) -> None:
    """A policy is asked of what it was made for; where nobody acted, its own actions are meant."""
    spec, names = parts.fits(policy)
    for side in sides:
        acted = side if side.action_names else replace(side, action_names=names.actions)
        agreement.refuse_other_policy(spec._replace(horizon=1), names, acted, parts.rate_hz(policy))


def _size(asked: domain.Picture, known: dict[Path, domain.Picture]) -> domain.Picture:
    """The size that the runs know, which are to agree; else the one that was asked for."""
    sizes = {*known.values(), *([] if asked == SIZE and known else [asked])}
    if len(sizes) > 1:
        said = ", ".join(f"{path} {size.width}x{size.height}" for path, size in known.items())
        raise ConfigError(f"picture: pictures have one size, but the runs were made for {said}. Leave picture to them.")
    return sizes.pop()


def _crops(asked: Asked, one: run.Run | None, through: Path | None) -> tuple[Side, Side]:
    """Both sides, cut as the bridge's run cuts them, or as what was redrawn says, unless they say how."""
    if one is not None:
        ours, theirs = (side.crop for side in run.crossed_sides(one.experiment))
    elif through and (told := redrawing.cuts(through)):
        ours, theirs = told
    else:
        return asked.a, asked.b
    plain = asked.a.crop == Crop(), asked.b.crop == Crop()
    a = replace(asked.a, crop=ours) if plain[0] else asked.a
    return a, replace(asked.b, crop=theirs) if plain[1] else asked.b


def _blank(name: str, dataset: Dataset, side: Side, picture: domain.Picture, cache: Path) -> Moments:
    """The moments of a side, of which no picture is decoded yet: few may be looked at."""
    return domain.first(domain.read(name, dataset, side.crop, picture, 1, cache, decode=False), side.episodes, name)


def _alike(one: Shape, other: Shape) -> bool:
    """Whether pictures are as wide for their height."""
    return abs(one[1] * other[0] / (one[0] * other[1]) - 1) <= ALIKE


def _tell_a_whole(a: Path, b: Path) -> None:
    """One folder may hold the other, and its pictures are then on both sides: say so."""
    for one, other in ((a, b), (b, a)):
        if one.resolve() in other.resolve().parents:
            say_once(
                f"{one} holds {other} too: those pictures are on both sides, and show less of a gap than there is."
            )


def _tell_a_stretch(shapes: Sequence[Shape]) -> None:
    """Nobody said how large pictures are to be: say so where that changes what they look like."""
    for name, (height, width) in zip("ab", shapes):
        if not _alike((height, width), (SIZE.height, SIZE.width)):
            say_once(
                f"{name}'s pictures of {width:.0f}x{height:.0f} are brought to {SIZE.width}x{SIZE.height}, another "
                f"shape: picture.width={round(SIZE.height * width / height)} keeps theirs."
            )


def _by_another(name: str, folder: Path, shape: Shape, ours: Moments, cache: Path) -> NDArray[np.uint8]:
    dataset: Any = config.component("dataset", {"name": name, "root": str(folder)}).build()
    count, cameras = sum(map(len, dataset.episodes)), len(dataset.cameras)
    if (count, cameras) != ours.frames.shape[:2]:
        raise DataError(
            f"{folder} holds {count} moments (cameras: {cameras}), but a holds {len(ours.frames)} (cameras: "
            f"{ours.frames.shape[1]}): each stands for one of those, in their order."
        )
    _tell_another_cut(folder, dataset, shape)
    return domain.shown(ours, dataset, Crop(), cache).frames[ours.rows]


def _tell_another_cut(folder: Path, dataset: Dataset, ours: Shape) -> None:
    """Pictures are brought to one size: where theirs were cut otherwise, what changed would be where things are."""
    theirs = remaining(dataset, Crop())
    if not _alike(ours, theirs):
        say_once(
            f"{folder} holds pictures of {theirs[1]:.0f}x{theirs[0]:.0f}, which a's of {ours[1]:.0f}x{ours[0]:.0f} "
            "do not fit: if they were cut when they were redrawn, cut a's likewise, such as a.crop.top=0.27."
        )
