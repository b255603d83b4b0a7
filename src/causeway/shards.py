"""Redrawing shared out over the processes of Ray (Moritz et al. 2018), on this machine or on a cluster.

Pictures travel to the workers and back in their order, so that what is stopped goes on as it would with one process. A
foundation model is loaded by each worker, from the same path or hub id. ``RAY_ADDRESS`` names a cluster, as everywhere
in Ray; without it the workers are started here.
"""

import logging
import os
from collections import deque
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from .bridges import Bridge
from .data import Moments
from .errors import ConfigError, MissingExtra

AHEAD = 2  # tasks that a worker has waiting
ROOM = 2**30  # bytes of pictures that wait, at most, where whole clips stay with a worker


class Task(NamedTuple):
    """A few moments of a clip that are redrawn at once."""

    seed: int  # by which their clip is drawn
    first: bool  # whether the clip begins with them
    part: NDArray[np.int64]  # their places among the moments


class Worker:
    """A copy of the bridge in a process of its own, on one thread."""

    def __init__(self, bridge: Bridge):
        torch.set_num_threads(1)
        self.bridge = bridge.eval()

    @torch.inference_mode()
    def draw(self, seed: int, first: bool, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Moments (T, V, 3, H, W), redrawn."""
        if first or not self.bridge.remembers:  # others of the clip may have gone elsewhere
            self.bridge.clip(seed)
        drawn: NDArray[np.uint8] = self.bridge.along(torch.from_numpy(frames.copy())).numpy()
        return drawn


def drawn(
    bridge: Bridge, moments: Moments, tasks: Sequence[Task], workers: int
) -> Generator[NDArray[np.uint8], None, None]:
    """What each of the ``tasks`` becomes, in their order, by so many processes."""
    ray = library()
    started = not ray.is_initialized()
    if started:
        cores = None if os.environ.get("RAY_ADDRESS") else workers
        ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        cores = int(ray.cluster_resources().get("CPU", 0))
        if workers > cores:
            raise ConfigError(f"--workers {workers}: Ray has {cores} cores, and would wait for more.")
        held = ray.put(bridge)
        actors = [ray.remote(num_cpus=1)(Worker).remote(held) for _ in range(workers)]
        waiting: deque[Any] = deque()
        most, turn = workers * AHEAD, -1
        if bridge.remembers and tasks:
            largest = max(len(task.part) for task in tasks) * moments.frames[:1].nbytes
            most = max(workers, min(workers * _longest(tasks), ROOM // largest))
        for task in tasks:
            turn += task.first or not bridge.remembers  # who remembers is given a clip as a whole
            frames = np.ascontiguousarray(moments.frames[moments.rows[task.part]])
            waiting.append(actors[turn % workers].draw.remote(task.seed, task.first, frames))
            if len(waiting) >= most:
                yield _fetched(ray, waiting.popleft())
        while waiting:
            yield _fetched(ray, waiting.popleft())
    finally:
        if started:
            ray.shutdown()


def _fetched(ray: Any, promised: Any) -> NDArray[np.uint8]:
    """What a worker drew. Raises what it raised there."""
    try:
        drawn: NDArray[np.uint8] = ray.get(promised)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    return drawn


def _longest(tasks: Sequence[Task]) -> int:
    """How many tasks the longest clip has."""
    return int(np.bincount(np.cumsum([task.first for task in tasks])).max())


def library() -> Any:
    """Ray, imported where it is needed."""
    try:
        import ray
    except ImportError:
        raise MissingExtra("redraw --workers", "ray", "ray") from None
    return ray
