"""From the [source] and [target] tables of an experiment to what a method trains on: splits, limits, cached frames."""

import hashlib
import json
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import agreement
from .cache import Crop, cached, moments
from .data import Domain, Moments
from .datasets import Dataset
from .errors import ConfigError, DataError
from .progress import say_once

GAP_S = 1.0  # training moments this near to a tune or test block are left out: neighbours are nearly identical;
# moments whose chunk of actions or whose past frames would reach into one are left out too
NOBODY = np.zeros(0, np.int64)
DARK = np.zeros((), np.uint8)


@dataclass(frozen=True)
class Picture:
    """The size every picture is brought to."""

    height: int = 64  # H, pixels; raising it sees farther, slower
    width: int = 96  # W, pixels

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 8:
            raise ConfigError(f"height and width must be 8 pixels or more, not {self.height} and {self.width}.")


@dataclass(frozen=True)
class Config:
    """One side of the gap."""

    dataset: Any = None  # recordings to train on
    test_dataset: Any = None  # recordings to test on; without them a share of ``dataset`` is held out
    labeller: Any = None  # guesses the actions of moments nobody demonstrated
    simulator: Any = None  # a world to be tested in, closed loop
    through: str = ""  # a bridge's run, or arm, that redraws what is trained on, and the target's camera once deployed
    validator: Any | tuple[Any, ...] = None  # has redrawn pictures whose content changed too much stay; or a list
    witness: str = ""  # a policy's run, or arm, that has pictures stay where it would act otherwise on the redrawn one
    episodes: int | Literal["all"] = "all"  # how many of the dataset's are used at all, the first ones
    limit: int | Literal["all"] = "all"  # how many moments keep their next T actions for training; 0 leaves none
    tune: float = 0.15  # share of the time blocks kept for choosing settings
    held_out: float = 0.15  # share of the target's blocks kept to test on, without test_dataset and simulator
    block_s: float = 20.0  # seconds in a time block; blocks, never single frames, are split
    crop: Crop = field(default_factory=Crop)  # what is cut off the pictures before they are resized

    def __post_init__(self) -> None:
        if self.block_s <= 0:
            raise ConfigError(f"block_s must be above 0, not {self.block_s}.")
        if self.episodes != "all" and self.episodes < 1:
            raise ConfigError(f"episodes must be 1 or more, or 'all', not {self.episodes}.")
        if not self.through and (self.validator is not None or self.witness):
            judge = "validator" if self.validator is not None else "witness"
            raise ConfigError(f"{judge} judges what is redrawn: name what redraws, as through.")
        if self.limit != "all" and self.limit < 0:
            raise ConfigError(f"limit must be 0 or more, or 'all', not {self.limit}.")
        if not (0 <= self.tune < 1 and 0 <= self.held_out < 1 and self.tune + self.held_out < 1):
            raise ConfigError("tune and held_out are shares of the data and must leave something to train on.")


def build(
    name: str,
    config: Config,
    picture: Picture,
    horizon: int,
    cache: Path,
    seed: int,
    source: Domain | None = None,
    decode: bool = True,
    history: int = 1,
    demonstrated: bool = True,
) -> Domain:
    """The domain that ``config`` describes. With ``decode`` false pictures are blank and what is to be guessed has no
    guesses: all else that can be wrong shows in no time. ``seed`` draws the few shots; splits are the same for all.

    Only a target, which has a ``source``, is tested; a labeller takes the units of its guesses from it. Actions are
    needed only where it matters what was ``demonstrated``.
    """
    if config.dataset is None:
        raise ConfigError(f"[{name}] needs a dataset to train on.")
    dataset = config.dataset.build()
    recorded = first(read(name, dataset, config.crop, picture, horizon, cache, decode, history), config.episodes, name)
    longest = int(np.bincount(recorded.episode).max())
    if horizon > longest:
        say_once(
            f"[{name}] horizon = {horizon} is longer than any episode, of {longest} moments at most: actions repeat."
        )
    if demonstrated and source is None and recorded.actions is None:
        raise DataError(f"[{name}] {dataset.root} has no actions: nothing can be learned from it.")
    if source is not None and recorded.actions is None:  # nobody demonstrated: the actions are the source's
        recorded = replace(recorded, action_names=source.unlabelled.action_names)
    tested = source is not None and config.test_dataset is None and config.simulator is None
    train, tune, test = split(recorded, config.tune, config.held_out if tested else 0.0, config.block_s, name)
    if config.test_dataset is not None:
        other = config.test_dataset.build()
        agreement.refuse_overlap(name, dataset, other)
        test = read(name, other, config.crop, picture, horizon, cache, decode, history)
        agreement.refuse_other_kind(name, recorded, test)
        if decode and not demonstrated:  # pictures alone, which may lie in several folders under several names
            agreement.tell_twins(name, train, test)
    if demonstrated and source is not None and config.simulator is None and (not len(test) or test.actions is None):
        raise DataError(
            f"[{name}] there is nothing to test on: it needs a simulator, or recordings with actions as test_dataset, "
            "or a held_out share of its own."
        )
    if config.simulator is not None:
        agreement.refuse_other_world(
            config.simulator, recorded.spec, agreement.names_of(recorded), agreement.rate(recorded)
        )
    labelled = limited(train, config.limit, seed, name)
    return Domain(
        name=name,
        labelled=labelled,
        unlabelled=train.hidden(),
        guessed=_guessed(name, config, train.hidden(), labelled, source, decode),
        tune=tune,
        test=test,
        simulator=config.simulator,
        crop=config.crop,
        cache=cache,
    )


def read(
    name: str,
    dataset: Dataset,
    crop: Crop,
    picture: Picture,
    horizon: int,
    cache: Path,
    decode: bool = True,
    history: int = 1,
) -> Moments:
    """Every moment of a dataset, its pictures cropped and resized into ``cache``; blank ones unless ``decode``."""
    shape = (sum(len(episode) for episode in dataset.episodes), len(dataset.cameras), 3, *astuple(picture))
    if not shape[0]:
        raise DataError(f"[{name}] {dataset.root} holds no moments.")
    frames = cached(dataset, picture.height, picture.width, crop, cache) if decode else np.broadcast_to(DARK, shape)
    return moments(dataset, frames, horizon, history)


def shown(blank: Moments, dataset: Dataset, crop: Crop, cache: Path) -> Moments:
    """Moments with their own pictures from ``dataset``, whatever they had, or none; those between them are black."""
    height, width = blank.frames.shape[3:]
    frames = cached(dataset, height, width, crop, cache, blank.rows)
    return replace(blank, frames=frames[: len(blank.frames)])


def digest(recorded: Moments) -> str:
    """A word that changes with what was recorded, in names, times and numbers: not with where it lies, nor pixels."""
    counts = np.bincount(recorded.episode, minlength=len(recorded.episode_names)).tolist()
    actions = recorded.action_names if recorded.actions is not None else ()
    names = recorded.episode_names, recorded.cameras, recorded.state_names, actions
    word = hashlib.sha256(json.dumps([*names, counts]).encode())
    for numbers in (recorded.time_s, recorded.state, recorded.actions, recorded.points):
        word.update(b"-" if numbers is None else np.ascontiguousarray(numbers).tobytes())
    return word.hexdigest()[:16]


def first(recorded: Moments, episodes: int | str, name: str) -> Moments:
    """The moments of the first ``episodes`` episodes, and nothing of the others."""
    if episodes == "all":
        return recorded
    if int(episodes) < 1:
        raise DataError(f"[{name}] episodes asks for {episodes}: 1 is the fewest.")
    if int(episodes) > len(recorded.episode_names):
        raise DataError(f"[{name}] episodes asks for {episodes}, but there are only {len(recorded.episode_names)}.")
    end = int(np.searchsorted(recorded.episode, int(episodes)))
    return replace(
        recorded,
        frames=recorded.frames[:end],
        state=recorded.state[:end],
        actions=None if recorded.actions is None else recorded.actions[:end],
        episode=recorded.episode[:end],
        time_s=recorded.time_s[:end],
        rows=np.arange(end),
        episode_names=recorded.episode_names[: int(episodes)],
        points=None if recorded.points is None else recorded.points[:end],
    )


def _guessed(
    name: str, config: Config, train: Moments, labelled: Moments, source: Domain | None, decode: bool
) -> Moments:
    """The training moments that the labeller has a guess for; unless ``decode``, those it will be asked for."""
    if config.labeller is None:
        return train.select(NOBODY)
    if source is None:
        raise ConfigError(f"[{name}] a labeller works in the target alone, which has a source to take units from.")
    labeller = config.labeller.build()
    labeller.refuse_other_actions(train.action_names)
    if not decode:
        return train
    picture = Picture(labeller.height, labeller.width)
    whole = first(
        read(name, config.dataset.build(), Crop(), picture, train.horizon, source.cache), config.episodes, name
    )
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
            f"Its longest recording lasts {recorded.time_s.max():.0f} s: lower block_s, or record more. "
            "Loose pictures that a bridge learns from as a whole need none of it: tune = 0.0 and held_out = 0.0."
        )
    role = np.zeros(count, np.int8)
    role[order[:for_test]] = 2
    role[order[for_test : for_test + for_tune]] = 1
    roles = role[block]
    longest = max(recorded.horizon, recorded.history)
    reach = max(GAP_S, longest / agreement.rate(recorded)) if longest > 1 else GAP_S
    train = (roles == 0) & ~_near(recorded, roles != 0, reach)
    if not train.any():
        raise DataError(f"[{name}] nothing is left to train on between the blocks of {block_s:g} s. Raise block_s.")
    return recorded.select(train), recorded.select(roles == 1), recorded.select(roles == 2)


def _blocks(recorded: Moments, block_s: float) -> NDArray[np.int64]:
    """(N,) the number of the time block each moment lies in, counted through all episodes."""
    parts = np.floor(recorded.time_s / block_s).astype(np.int64)
    _, block = np.unique(np.stack([recorded.episode, parts], 1), axis=0, return_inverse=True)
    return block.reshape(-1)[recorded.rows]


def _near(recorded: Moments, kept: NDArray[np.bool_], reach_s: float) -> NDArray[np.bool_]:
    """(N,) moments within ``reach_s`` of a ``kept`` one of the same episode."""
    near = np.zeros(len(kept), bool)
    clock = recorded.time_s[recorded.rows] + recorded.episode[recorded.rows] * 1e7  # episodes never meet on this clock
    times = clock[kept]
    if len(times):
        after = np.searchsorted(times, clock)
        for neighbour in (np.clip(after, 0, len(times) - 1), np.clip(after - 1, 0, len(times) - 1)):
            near |= np.abs(times[neighbour] - clock) <= reach_s
    return near


def spans(moments: Moments) -> dict[str, list[tuple[float, float]]]:
    """From when to when, in seconds, the ``moments`` of each episode reach: its unbroken stretches."""
    found: dict[str, list[tuple[float, float]]] = {}
    for part in (moments.rows[clip] for clip in moments.clips()):
        name = moments.episode_names[moments.episode[part[0]]]
        found.setdefault(name, []).append((float(moments.time_s[part[0]]), float(moments.time_s[part[-1]])))
    return found


def limited(train: Moments, limit: int | str, seed: int, name: str) -> Moments:
    """The labelled training moments: all of them, or ``limit`` drawn at random by ``seed``."""
    if train.actions is None:
        if limit not in ("all", 0):
            raise DataError(f"[{name}] limit asks for {limit} labelled moments, but nobody demonstrated here.")
        return train.select(NOBODY)
    if limit == "all":
        return train
    if int(limit) > len(train):
        raise DataError(f"[{name}] limit asks for {limit} labelled moments, but training has only {len(train)}.")
    drawn = np.random.default_rng((seed, 20)).choice(len(train), int(limit), replace=False)
    return train.select(np.sort(drawn))
