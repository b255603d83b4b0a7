"""From the [source] and [target] tables of an experiment to what a method trains on: splits, limits, cached frames."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .cache import Crop, cached, moments
from .data import Domain, Moments, Spec
from .datasets import Dataset
from .errors import ConfigError, DataError

GAP_S = 1.0  # training moments this near to a tune or test block are left out: neighbours are nearly identical


@dataclass(frozen=True)
class Picture:
    """The size every picture is brought to."""

    height: int = 64  # H, pixels; raising it sees farther, slower
    width: int = 96  # W, pixels


@dataclass(frozen=True)
class Config:
    """One side of the gap."""

    dataset: Any = None  # recordings to train on
    test_dataset: Any = None  # recordings to test on; without them a share of ``dataset`` is held out
    labeller: Any = None  # guesses the actions of moments nobody demonstrated
    simulator: Any = None  # a world to be tested in, closed loop
    limit: int | Literal["all"] = "all"  # how many moments keep their actions for training; 0 leaves none
    tune: float = 0.15  # share of the time blocks kept for choosing settings
    held_out: float = 0.15  # share of the target's blocks kept to test on, without test_dataset and simulator
    block_s: float = 20.0  # seconds in a time block; blocks, never single frames, are split
    crop: Crop = field(default_factory=Crop)  # what is cut off the pictures before they are resized

    def __post_init__(self) -> None:
        if self.limit != "all" and self.limit < 0:
            raise ConfigError(f"limit must be 0 or more, or 'all', not {self.limit}.")
        if not (0 <= self.tune < 1 and 0 <= self.held_out < 1 and self.tune + self.held_out < 1):
            raise ConfigError("tune and held_out are shares of the data and must leave something to train on.")


def build(
    name: str, config: Config, picture: Picture, horizon: int, cache: Path, seed: int, source: Domain | None = None
) -> Domain:
    """The domain that ``config`` describes. ``seed`` draws the few shots; the splits are the same for every seed.

    Only a target, which has a ``source``, is tested; a labeller takes the units of its guesses from it.
    """
    if config.dataset is None:
        raise ConfigError(f"[{name}] needs a dataset to train on.")
    recorded = read(name, config.dataset.build(), config.crop, picture, horizon, cache)
    tested = source is not None and config.test_dataset is None and config.simulator is None
    held_out = config.held_out if tested else 0.0
    train, tune, test = split(recorded, config.tune, held_out, config.block_s, name)
    if config.test_dataset is not None:
        test = read(name, config.test_dataset.build(), config.crop, picture, horizon, cache)
        _refuse_mismatch(name, recorded, test)
    labelled = limited(train, config.limit, seed, name)
    return Domain(
        name=name,
        labelled=labelled,
        unlabelled=train.hidden(),
        guessed=_guessed(name, config, train.hidden(), labelled, source),
        tune=tune,
        test=test,
        simulator=config.simulator,
        crop=config.crop,
        cache=cache,
    )


def read(name: str, dataset: Dataset, crop: Crop, picture: Picture, horizon: int, cache: Path) -> Moments:
    """Every moment of a dataset, its pictures cropped and resized into ``cache``."""
    if not sum(len(episode) for episode in dataset.episodes):
        raise DataError(f"[{name}] {dataset.root} holds no moments.")
    frames = cached(dataset, picture.height, picture.width, crop, cache)
    return moments(dataset, frames, horizon)


def _guessed(name: str, config: Config, train: Moments, labelled: Moments, source: Domain | None) -> Moments:
    """The training moments that the labeller has a guess for."""
    if config.labeller is None:
        return train.select(np.zeros(0, np.int64))
    if source is None:
        raise ConfigError(f"[{name}] a labeller works in the target alone, which has a source to take units from.")
    labeller = config.labeller.build()
    picture = Picture(labeller.height, labeller.width)
    whole = read(name, config.dataset.build(), Crop(), picture, train.horizon, source.cache)
    guesses = labeller.label(whole.hidden(), source.labelled, labelled)
    known = np.isfinite(guesses).all(1)
    return replace(train, actions=np.where(known[:, None], guesses, 0)).select(known[train.rows])


def split(
    recorded: Moments, tune: float, held_out: float, block_s: float, name: str = "the data"
) -> tuple[Moments, Moments, Moments]:
    """Training, tune and test moments by blocks of ``block_s`` seconds, the same for every seed.

    At least one block goes to each share above 0. Training moments within a second of another block are left out.
    """
    block = _blocks(recorded, block_s)
    count = int(block.max()) + 1
    order = np.random.default_rng(0).permutation(count)
    for_test, for_tune = (int(np.ceil(share * count)) if share else 0 for share in (held_out, tune))
    if for_test + for_tune >= count:
        raise DataError(
            f"[{name}] has {count} blocks of {block_s:g} s, too few to keep {for_tune} to tune and {for_test} to test. "
            "Lower block_s, or record more."
        )
    role = np.zeros(count, np.int8)
    role[order[:for_test]] = 2
    role[order[for_test : for_test + for_tune]] = 1
    roles = role[block]
    train = (roles == 0) & ~_near(recorded, roles != 0)
    if not train.any():
        raise DataError(f"[{name}] nothing is left to train on between the blocks of {block_s:g} s. Raise block_s.")
    return recorded.select(train), recorded.select(roles == 1), recorded.select(roles == 2)


def _blocks(recorded: Moments, block_s: float) -> NDArray[np.int64]:
    """(N,) the number of the time block each moment lies in, counted through all episodes."""
    parts = np.floor(recorded.time_s / block_s).astype(np.int64)
    _, block = np.unique(np.stack([recorded.episode, parts], 1), axis=0, return_inverse=True)
    return block.reshape(-1)[recorded.rows]


def _near(recorded: Moments, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,) moments within GAP_S of a ``kept`` one of the same episode."""
    near = np.zeros(len(kept), bool)
    clock = recorded.time_s[recorded.rows] + recorded.episode[recorded.rows] * 1e7  # episodes never meet on this clock
    times = clock[kept]
    if len(times):
        after = np.searchsorted(times, clock)
        for neighbour in (np.clip(after, 0, len(times) - 1), np.clip(after - 1, 0, len(times) - 1)):
            near |= np.abs(times[neighbour] - clock) <= GAP_S
    return near


def limited(train: Moments, limit: int | str, seed: int, name: str) -> Moments:
    """The labelled training moments: all of them, or ``limit`` drawn at random by ``seed``."""
    if train.actions is None:
        if limit not in ("all", 0):
            raise DataError(f"[{name}] limit asks for {limit} labelled moments, but nobody demonstrated here.")
        return train.select(np.zeros(0, np.int64))
    if limit == "all":
        return train
    if int(limit) > len(train):
        raise DataError(f"[{name}] limit asks for {limit} labelled moments, but training has only {len(train)}.")
    drawn = np.random.default_rng((seed, 20)).choice(len(train), int(limit), replace=False)
    return train.select(np.sort(drawn))


def refuse_mismatch(source: Domain, target: Domain, horizon: int) -> None:
    """Two domains must agree in cameras, state and actions, and in rate when chunks of several actions are learned."""
    _refuse_mismatch("source and target", source.unlabelled, target.unlabelled)
    a, b = rate(source.unlabelled), rate(target.unlabelled)
    if horizon > 1 and abs(a - b) > 0.1 * min(a, b):
        raise DataError(
            f"A chunk of {horizon} actions lasts {horizon / a:.2f} s in the source ({a:.0f} Hz) and "
            f"{horizon / b:.2f} s in the target ({b:.0f} Hz). Record both at one rate, or set horizon = 1."
        )


def rate(recorded: Moments) -> float:
    """Moments a second, by the median step inside episodes."""
    steps = np.diff(recorded.time_s)[np.diff(recorded.episode) == 0]
    return float(1 / np.median(steps)) if len(steps) else float("nan")


def _refuse_mismatch(where: str, a: Moments, b: Moments) -> None:
    for what, first, second in (
        ("cameras", a.frames.shape[1], b.frames.shape[1]),
        ("state", a.state_names, b.state_names),
        ("actions", a.action_names, b.action_names),
    ):
        if first != second:
            raise DataError(
                f"[{where}] the two datasets differ in {what}: {first} and {second}. Choose the same in both."
            )


def refuse_other_policy(spec: Spec, recorded: Moments) -> None:
    """A policy can only be scored on recordings of the shapes it was made for."""
    for what, first, second in zip(Spec._fields, spec, recorded.spec):
        if first != second:
            raise DataError(
                f"The policy was trained for {what} {first}, the dataset has {second}. Choose the same in both."
            )
