"""Whether recordings, worlds and policies fit one another: what they show, ask and mean, and how fast."""

import math
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from .data import Domain, Moments, Spec
from .datasets import Dataset
from .errors import DataError
from .pairs import other_units
from .progress import say_once

CHUNK = 256  # pictures at once
THUMBNAIL = 16  # pixels of a side


class Names(NamedTuple):
    """What the numbers of a policy mean, and which cameras it looks through."""

    state: tuple[str, ...]
    actions: tuple[str, ...]
    cameras: tuple[str, ...] = ()  # none where nobody knows


def refuse_overlap(name: str, train: Dataset, test: Dataset) -> None:
    """What is trained on cannot be the test."""
    if both := shared(train, test):
        what = "episodes" if min(both) in {episode.name for episode in train.episodes} else "pictures"
        raise DataError(
            f"[{name}] dataset and test_dataset share {len(both)} {what} of {train.root}, such as "
            f"'{min(both)}'. Leave test_dataset out to hold some back, or select others."
        )


def tell_twins(name: str, train: Moments, test: Moments) -> None:
    """Say how many test pictures are learned from as well, whatever their files are called: a mean difference below one
    grey level is what saving a picture anew makes."""
    learned, tested = (_thumbnails(side) for side in (train, test))
    nearest = [torch.cdist(part, learned, p=1).amin(1) for part in torch.split(tested, CHUNK)]
    twins = int((torch.cat(nearest) / tested.shape[1] < 1).sum())
    if twins:
        say_once(
            f"[{name}] {twins} of {len(tested)} test pictures are all but the same as pictures that are learned from: "
            "what is measured on them is no test."
        )


def _thumbnails(side: Moments) -> torch.Tensor:
    """(N, D) grey levels of the pictures of N moments, small."""
    parts = []
    for rows in np.array_split(side.rows, max(1, len(side.rows) // CHUNK)):
        pictures = torch.from_numpy(np.ascontiguousarray(side.frames[rows])).float().mean(2)
        parts.append(torch.nn.functional.adaptive_avg_pool2d(pictures, THUMBNAIL).flatten(1))
    return torch.cat(parts)


def shared(one: Dataset, other: Dataset) -> set[str]:
    """What both hold, episodes or single pictures, where they lie in one folder."""
    if not same_place(one.root, other.root):
        return set()
    return one.holds() & other.holds()


def same_place(one: str, other: str) -> bool:
    """Whether two datasets lie in one folder."""
    return Path(one).resolve() == Path(other).resolve()


def names_of(recorded: Moments) -> Names:
    """What the numbers of a policy that learns from ``recorded`` mean."""
    return Names(recorded.state_names, recorded.action_names, recorded.cameras)


def refuse_other_world(simulator: Any, spec: Spec, names: Names, rate_hz: float = math.nan) -> None:
    """A policy can only drive in a world that shows and asks what its recordings did, under the same names, through
    cameras in the same order, and as fast where actions or frames are chained; ``rate_hz`` is nan where nobody knows.
    """
    shown = spec.frame
    with closing(simulator.build(count=1, seed=0)) as worlds:
        for what, ours, theirs in (
            ("cameras", shown.cameras, len(worlds.cameras)),
            ("state", names.state, worlds.state_names),
            ("actions", names.actions, worlds.action_names),
            ("points", shown.points, worlds.points if shown.points else 0),  # unless learned from, nobody looks at them
        ):
            if ours != theirs:
                advice = (
                    " Set points = false in the dataset, or depth = true in the simulator." if what == "points" else ""
                )
                raise DataError(
                    f"The recordings and the simulator differ in {what}: {_words(ours)} and {_words(theirs)}.{advice}"
                )
        refuse_other_order("recordings", names.cameras, "simulator", worlds.cameras)
        refuse_other_rate("recordings", rate_hz, "simulator", worlds.rate_hz, spec.horizon, spec.history)


def refuse_mismatch(source: Domain, target: Domain, horizon: int) -> None:
    """Two domains must be of one kind, and agree in rate where several actions or frames are chained. What looks like
    other units is told: it may be what the gap consists of."""
    ours, theirs = source.unlabelled, target.unlabelled
    refuse_other_kind("source and target", ours, theirs)
    refuse_other_rate("source", rate(ours), "target", rate(theirs), horizon, ours.history)
    acted = source.tune.actions, target.tune.actions
    for names, a, b in ((ours.state_names, ours.state, theirs.state), (ours.action_names, *acted)):
        if (
            a is not None
            and b is not None
            and (found := other_units(names, *(each.std(0, dtype=np.float64) for each in (a, b))))
        ):
            say_once(f"{found} They are taken as they are.")


def refuse_other_order(one: str, ours: tuple[str, ...], other: str, theirs: tuple[str, ...]) -> None:
    """Cameras go together by their places, and other names are told; the same names in other places are a mistake."""
    if len(ours) == len(theirs) and sorted(ours) != sorted(theirs):
        together = ", ".join(f"{a} with {b}" for a, b in zip(ours, theirs))
        say_once(f"The cameras of the {one} and the {other} have other names, and go together by place: {together}.")
    if ours != theirs and sorted(ours) == sorted(theirs):
        raise DataError(
            f"The {one} and the {other} have the same cameras in another order: {', '.join(ours)} and "
            f"{', '.join(theirs)}. Give cameras in one order in both."
        )


def refuse_other_rate(one: str, a: float, other: str, b: float, horizon: int, history: int) -> None:
    """Where several actions or frames are chained they must last as long on either side: ``a`` and ``b`` Hz."""
    for count, what, setting in (
        (horizon, "A chunk of {} actions", "horizon"),
        (history, "A history of {} frames", "history"),
    ):
        if count > 1 and abs(a - b) > 0.1 * min(a, b):
            raise DataError(
                f"{what.format(count)} lasts {count / a:.2f} s in the {one} ({a:.0f} Hz) and "
                f"{count / b:.2f} s in the {other} ({b:.0f} Hz). Use one rate in both, or set {setting} = 1."
            )


def rate(recorded: Moments) -> float:
    """Moments a second, by the median step inside episodes."""
    steps = np.diff(recorded.time_s)[np.diff(recorded.episode) == 0]
    return float(1 / np.median(steps)) if len(steps) else float("nan")


def refuse_other_kind(where: str, a: Moments, b: Moments) -> None:
    """Two sets of recordings must agree in cameras, their order, state, actions and points."""
    advice = ""
    for what, first, second in (
        ("cameras", a.frames.shape[1], b.frames.shape[1]),
        ("state", a.state_names, b.state_names),
        ("actions", a.action_names, b.action_names),
        ("points", a.spec.frame.points, b.spec.frame.points),
    ):
        unknown = what == "actions" and not (first and second)  # nobody demonstrated
        if first != second and not unknown:
            if what == "cameras" and a.cameras and b.cameras:
                first, second, advice = a.cameras, b.cameras, ", by the setting cameras of the dataset"
            raise DataError(
                f"[{where}] the two datasets differ in {what}: {_words(first)} and {_words(second)}. "
                f"Choose the same in both{advice}."
            )
    refuse_other_order("one dataset", a.cameras, "other", b.cameras)


def _words(value: Any) -> str:
    return (", ".join(value) or "none") if isinstance(value, tuple) else str(value)


def refuse_other_policy(spec: Spec, names: Names, recorded: Moments, rate_hz: float = math.nan) -> None:
    """A policy can only be scored on recordings of the shapes it was made for, under the names it knows, through
    cameras in the order it knows, and as fast where it chains actions or frames; ``rate_hz`` is nan if unknown."""
    for what, ours, theirs in (
        ("state", names.state, recorded.state_names),
        ("actions", names.actions, recorded.action_names),
        ("history", spec.history, recorded.history),
        *zip(Spec._fields, spec.frame, recorded.spec.frame),
    ):
        if ours != theirs and not (what == "points" and not ours):
            raise DataError(
                f"The policy was trained for {what} {_words(ours)}, the dataset has {_words(theirs)}. "
                "Choose the same in both."
            )
    refuse_other_order("policy", names.cameras, "dataset", recorded.cameras)
    refuse_other_rate("policy", rate_hz, "dataset", rate(recorded), spec.horizon, spec.history)
