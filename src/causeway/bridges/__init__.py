"""Images of one domain in, images of the other out. One file per bridge."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..data import Moments
from ..errors import ConfigError, DataError

BLENDS = ("0.25", "0.5", "0.75", "1")  # conditions of those that draw between: the share of the way


class Bridge(nn.Module, ABC):
    """A change of appearance. Its Config has ``build() -> Bridge``.

    One that is learned takes what needs no steps from the pictures of both sides in ``calibrate``, and the rest by its
    ``cost``; ``translation`` is the method that does both. What is drawn at random while it redraws is drawn by
    ``clip``, so that it stays the same along a clip.
    """

    version: ClassVar[int] = 1  # raised whenever it would redraw the same picture otherwise
    config: Any = None  # the settings it was built from, where it has any; ``quick`` names those that change no drawing
    past: Any = None  # what ``along`` remembers of the clip; who redraws several at once swaps it
    frozen: bool = False  # whether a part that never learns sees the pictures first: that is done once for each

    @property
    def learned(self) -> bool:
        """Whether it has to be learned before it is of use; one that always has to says ``learned = True``."""
        return False

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """(B, V, 3, H, W) uint8 -> (B, V, 3, H, W) uint8."""

    def take(self, other: nn.Module) -> None:
        """Go on from ``other``, which another run left. Raises RuntimeError where it is of another layout."""
        self.load_state_dict(other.state_dict())

    @property
    def remembers(self) -> bool:
        """Whether ``along`` makes anything else of a picture than it would without those before it."""
        return False

    def along(self, images: Tensor) -> Tensor:
        """The same of (T, V, 3, H, W) that follow one another, and what came before them since ``clip``. Raises
        DataError for anything else."""
        if images.ndim != 5 or images.shape[2] != 3 or images.dtype != torch.uint8:
            given = f"{images.dtype} of shape {tuple(images.shape)}"
            raise DataError(f"A bridge redraws pictures (T, cameras, 3, height, width) of torch.uint8, not {given}.")
        drawn: Tensor = self(images)
        return drawn

    def check(self) -> None:
        """Raise ConfigError where what it always needs cannot be had; called before a run begins, whatever from."""

    def begin(self) -> None:
        """Read the pretrained weights that the settings name; called once, by a run that begins from nothing else."""

    def calibrate(self, ours: Moments, theirs: Moments) -> None:
        """Take what needs no steps from moments of the side to be redrawn, and of the one to look like."""

    def prompt(self, ours: Moments) -> None:
        """Take what the settings say of how moments like ``ours`` are drawn; called last, whatever a run began from."""

    def seen(self, pictures: Tensor) -> Tensor:
        """What ``cost`` is given of pictures (B, 3, H, W) in -1..1: what a ``frozen`` part makes of them, if any."""
        return pictures

    def cost(self, ours: Tensor, theirs: Tensor, progress: float) -> Mapping[str, Tensor]:
        """Loss terms of what is ``seen`` of pictures of both sides; none where there is nothing to train."""
        return {}

    def clip(self, seed: int) -> None:
        """A new clip begins: what is drawn at random is drawn for all of it, by ``seed``."""

    def conditions(self) -> tuple[str, ...]:
        """The conditions it can redraw pictures under, such as "fog"; none, where it knows but one way."""
        return ()

    def vary(self, *conditions: str) -> None:
        """Redraw under one of the ``conditions``, or several at once, from now on."""
        raise ConfigError(f"There is no condition '{'+'.join(conditions)}' here: this bridge redraws in one way.")


def sample(moments: Moments, count: int) -> Tensor:
    """At most ``count`` pictures of ``moments``, spread evenly over them, of all cameras: (N, 3, H, W) uint8."""
    chosen = np.unique(np.linspace(0, len(moments) - 1, max(1, count // moments.frames.shape[1])).astype(np.int64))
    frames = moments.frames[moments.rows[chosen]]
    return torch.from_numpy(np.ascontiguousarray(frames)).flatten(0, 1)


def chance(seed: int, image: Tensor) -> torch.Generator:
    """What falls on an ``image`` of the clip of that ``seed``: the same whenever, and in whose company, it is drawn."""
    return torch.Generator().manual_seed(seed * 7919 + int(image.long().sum()) % 7907)


def quantized(pictures: Tensor) -> Tensor:
    """Pictures in 0..1 -> uint8."""
    return pictures.mul(255).round_().clamp_(0, 255).to(torch.uint8)


def redrawn(network: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """What a ``network`` on (B, 3, H, W) in -1..1 makes of (B, V, 3, H, W) uint8."""
    drawn = network(images.flatten(0, 1).float() / 127.5 - 1)
    return quantized((drawn + 1) / 2).view(images.shape)
