"""What flows through the toolkit: moments of a domain, stacked in batches."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B moments of one domain: what the cameras saw, what the robot felt, what it then did."""

    images: Tensor  # (B, V, 3, H, W) uint8, V cameras
    state: Tensor  # (B, S) float32: speed, command, joint angles...
    actions: Tensor | None = None  # (B, T, A) float32, the next T actions; None when nobody demonstrated
    embedding: Tensor | None = None  # (B, E) what frozen eyes made of the images, which then hold no cameras (V = 0)
    points: Tensor | None = None  # (B, P, 3) float32 metres in the robot's frame, the clouds that depth cameras saw

    def __len__(self) -> int:
        return len(self.state)

    def __getitem__(self, index: Tensor | slice) -> "Batch":
        return self._each(lambda tensor: tensor[index])

    def to(self, device: torch.device | str) -> "Batch":
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        return replace(self, **{f.name: change(v) for f in fields(self) if (v := getattr(self, f.name)) is not None})


class Spec(NamedTuple):
    """The shapes a policy must fit. Where a moment shows O frames, cameras, state and points count those of all."""

    cameras: int  # O * V
    height: int  # H
    width: int  # W
    state: int  # O * S
    horizon: int  # T
    action: int  # A
    history: int = 1  # O
    points: int = 0  # O * P; 0 where there are no point clouds

    @property
    def frame(self) -> "Spec":
        """The shapes of one frame: what a dataset holds and a simulator shows."""
        cameras, state, points = (each // self.history for each in (self.cameras, self.state, self.points))
        return self._replace(cameras=cameras, state=state, points=points, history=1)


class Joint(NamedTuple):
    """What an alignment compares: features, the actions they led to, and the state they were in."""

    features: Tensor  # (B, D)
    actions: Tensor  # (B, T, A) in units of the demonstrations' spread
    state: Tensor | None = None  # (B, S) likewise


@dataclass(frozen=True)
class Moments:
    """Recorded moments: frames on disk, everything else in memory. M frames are stored, N of them are in this set."""

    frames: NDArray[np.uint8]  # (M, V, 3, H, W), as a rule a memory map
    state: NDArray[np.float32]  # (M, S)
    actions: NDArray[np.float32] | None  # (M, A); None when nobody demonstrated
    episode: NDArray[np.int64]  # (M,) which episode a frame belongs to; episodes are contiguous
    time_s: NDArray[np.float64]  # (M,) since the start of its episode
    rows: NDArray[np.int64]  # (N,) the frames of this set, ascending
    horizon: int = 1  # T, how many future actions a moment holds
    state_names: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()
    episode_names: tuple[str, ...] = ()  # by the numbers in ``episode``
    history: int = 1  # O, how many frames a moment shows: its own and those before it
    points: NDArray[np.float16] | None = None  # (M, P, 3) metres in the robot's frame, to half a millimetre at 1 m
    cameras: tuple[str, ...] = ()  # V names

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def spec(self) -> Spec:
        """The shapes a policy for these moments must fit."""
        seen, (cameras, _, height, width) = self.history, self.frames.shape[1:]
        felt, points = seen * self.state.shape[1], 0 if self.points is None else seen * self.points.shape[1]
        return Spec(seen * cameras, height, width, felt, self.horizon, len(self.action_names), seen, points)

    def take(self, chosen: NDArray[np.int64] | slice = slice(None)) -> Batch:
        """The ``chosen`` of the N moments as a batch, the O frames of each as further cameras and points, oldest first.

        A chunk that would leave its episode repeats the last action; before an episode its first frame is repeated.
        """
        rows = self.rows[chosen]
        past = self.past(rows)
        images = torch.from_numpy(np.ascontiguousarray(self.frames[past])).flatten(1, 2)
        actions = None if self.actions is None else torch.from_numpy(self.chunks(rows))
        clouds = None if self.points is None else torch.from_numpy(self.points[past].astype(np.float32)).flatten(1, 2)
        return Batch(images, self.felt(rows), actions, points=clouds)

    def past(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The last O frames up to each frame in ``rows``, oldest first: (len(rows), O)."""
        first = np.searchsorted(self.episode, self.episode[rows], side="left")
        frames: NDArray[np.int64] = np.maximum(rows[:, None] + np.arange(1 - self.history, 1), first[:, None])
        return frames

    def felt(self, rows: NDArray[np.int64]) -> Tensor:
        """The states of the last O frames up to each frame in ``rows``: (len(rows), O * S)."""
        return torch.from_numpy(self.state[self.past(rows)]).flatten(1)

    def chunks(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The next T actions of each frame in ``rows``: (len(rows), T, A)."""
        assert self.actions is not None
        last = np.searchsorted(self.episode, self.episode[rows], side="right") - 1
        chunk: NDArray[np.float32] = self.actions[np.minimum(rows[:, None] + np.arange(self.horizon), last[:, None])]
        return chunk

    def clips(self) -> list[NDArray[np.int64]]:
        """The places, of the N moments, of each unbroken stretch of an episode, in order."""
        breaks = np.flatnonzero((np.diff(self.rows) != 1) | (np.diff(self.episode[self.rows]) != 0)) + 1
        return np.split(np.arange(len(self)), breaks) if len(self) else []

    def select(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> "Moments":
        """A part of the set, in the same order and over the same frames on disk."""
        return replace(self, rows=self.rows[chosen])

    def hidden(self) -> "Moments":
        """The same moments with nobody's demonstration."""
        return replace(self, actions=None)


@dataclass(frozen=True)
class Domain:
    """One side of the gap: its recorded moments and, when there is one, its simulator."""

    name: str  # "source" or "target"
    labelled: Moments  # for training, with actions; a few-shot limit shortens it, to nothing if need be
    unlabelled: Moments  # for training, without actions: every training moment, the labelled ones included
    guessed: Moments  # for training, with a labeller's guesses for actions; empty where nobody guesses
    tune: Moments  # for choosing settings and checkpoints
    test: Moments  # opened by evaluate alone
    simulator: Any = None  # the Config of a simulator: build(count, seed) gives the worlds
    crop: Any = None  # what is cut from its pictures before they are resized
    cache: Path = Path("runs/cache")  # where decoded frames and frozen features are kept

    @property
    def spec(self) -> Spec:
        return self.unlabelled.spec
