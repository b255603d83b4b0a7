"""Record a simulator's expert into a dataset: demonstrations for free."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .datasets import Episode
from .errors import ConfigError, DataError
from .progress import counted
from .recorder import Recorder, Recording

WORLDS = 20  # driven side by side
MEMORY = 0.9  # share of a push that stays for the next step
MOST_TRIES = 5  # times as many episodes are tried as are asked for


def record(simulator: Any, destination: Path, episodes: int, seed: int, noise: float) -> tuple[int, int]:
    """Write ``episodes`` completed demonstrations of ``simulator`` (a Config); the number of episodes and frames.

    The commands are pushed about by a slow random walk of steps with standard deviation ``noise``, while the expert's
    own command is what is recorded: the data then show how to come back (noise injection, Laskey et al. 2017, "DART").
    """
    if episodes < 1:
        raise ConfigError(f"episodes must be at least 1, not {episodes}.")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # worlds are many small tensors: more threads only wait for one another
    try:
        return _record(simulator, destination, episodes, seed, noise)
    finally:
        torch.set_num_threads(threads)


def _record(simulator: Any, destination: Path, episodes: int, seed: int, noise: float) -> tuple[int, int]:
    kept = frames = 0
    worlds = simulator.build(count=min(WORLDS, episodes), seed=seed)
    names = worlds.cameras, worlds.rate_hz, worlds.state_names, worlds.action_names
    about = Recording(*names, points=worlds.points)
    with (
        closing(worlds),
        Recorder(destination, about) as recorder,
        counted(f"collecting {destination}", episodes, "episodes") as advance,
    ):
        for first in range(seed, seed + MOST_TRIES * episodes, worlds.num_envs):
            found, crashes = _drive(worlds, first, noise)
            if len(crashes) == worlds.num_envs:
                raise DataError(f"Every world crashed: {crashes[0]}")
            for episode, pictures in found:
                if kept < episodes:
                    recorder.add(episode, pictures)
                    kept, frames = kept + 1, frames + len(episode)
                    advance(1)
            if kept == episodes:
                break
        else:
            raise DataError(
                f"Only {kept} of {MOST_TRIES * episodes} demonstrations were completed; {episodes} were asked for."
            )
    return kept, frames


def _drive(
    worlds: Any, first: int, noise: float
) -> tuple[list[tuple[Episode, Iterator[NDArray[np.uint8]]]], list[str]]:
    """Drive the episodes of seeds ``first`` and on: those completed, by their seeds, and why others crashed."""
    count = worlds.num_envs
    rng = np.random.default_rng(first)
    seen, _ = worlds.reset(seed=list(range(first, first + count)))
    images, states, clouds, actions, ends = [], [], [], [], np.full(count, "", dtype=object)
    push, errors, found = np.zeros((count, len(worlds.action_names))), np.full(count, "", dtype=object), {}
    while ((ends == "") & (errors == "")).any():
        command = worlds.expert()
        images.append(seen["images"])
        states.append(seen["state"])
        clouds += [seen["points"]] if "points" in seen else []
        actions.append(command.copy())
        push = MEMORY * push + rng.normal(0, noise, command.shape)
        driven = (command + push).clip(-1, 1).astype(np.float32)
        seen, _, _, _, info = worlds.step(driven)
        fresh = (ends == "") & (errors == "")
        errors = np.where(fresh, info.get("error", errors), errors)
        ends = np.where(fresh, np.asarray(info["end"], dtype=object), ends)
        for world in np.flatnonzero(fresh & (ends == "completed") & (errors == "")).tolist():
            time_s = np.arange(len(images)) / worlds.rate_hz
            state, action = (np.stack([step[world] for step in part]) for part in (states, actions))
            points = np.stack([cloud[world] for cloud in clouds]) if clouds else None
            episode = Episode(f"seed {first + world}", time_s, state, action, points=points)
            found[world] = episode, _views(list(images), world)
    return [found[world] for world in sorted(found)], [error for error in errors if error]


def _views(images: list[NDArray[np.uint8]], world: int) -> Iterator[NDArray[np.uint8]]:
    """What one world saw, step by step: (V, H, W, 3)."""
    return (image[world].transpose(0, 2, 3, 1) for image in images)
