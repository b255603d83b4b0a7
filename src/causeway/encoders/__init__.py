"""What a pretrained network makes of a picture: the ground that gaps are measured on. One file per encoder."""

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..errors import DataError
from ..progress import say_once


class Encoder(nn.Module, ABC):
    """Maps of features at some depths, and one vector, of pictures in 0..1. Its Config has ``build() -> Encoder``.

    It is frozen, and reads its weights when it is built: whoever measures wants nothing else of it.
    """

    name: str  # the network and its layers, in a few words for a table
    layers: tuple[str, ...]  # of the maps, shallow first
    smallest: int = 1  # pixels of a side that it can see
    way: NDArray[np.float32] | None = None  # (D,), of length 1: from A to B among the vectors, where words say it

    @abstractmethod
    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) in 0..1 -> its maps, a (B, C, h, w) for each of the ``layers``; C, h and w differ among them."""

    def vectors(self, maps: tuple[Tensor, ...]) -> Tensor:
        """(B, D) of the maps: the mean over the places of the last one."""
        return maps[-1].mean((2, 3))

    def seen(self, pictures: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """The maps and the vectors; one whose vectors are not made of its maps says how it comes to them."""
        maps: tuple[Tensor, ...] = self(pictures)
        return maps, self.vectors(maps)


def tell_random(eye: Encoder, who: str) -> None:
    """Say that ``who`` learns by an encoder that nothing taught to see: it makes trials, and no results."""
    if eye.name.endswith("random weights"):
        say_once(f"{who} learns by {eye.name}, which is for trials. Give its encoder weights.")


class Look:
    """What an encoder makes of some pictures: each thing only if it is asked for, and then once."""

    def __init__(self, encoder: Encoder, pictures: Tensor):
        height, width = pictures.shape[2:]
        if min(height, width) < encoder.smallest:
            raise DataError(
                f"{encoder.name} sees no pictures of {width} x {height} pixels: a side has "
                f"{encoder.smallest} at least. Raise picture.height and picture.width, or take the encoder pixels."
            )
        self.encoder, self.pictures = encoder, pictures  # (B, 3, H, W) in 0..1
        self._sized: dict[int, tuple[Tensor, ...]] = {}

    @cached_property
    def _seen(self) -> tuple[tuple[Tensor, ...], Tensor]:
        return self.encoder.seen(self.pictures)

    @property
    def maps(self) -> tuple[Tensor, ...]:
        """Of the encoder, shallow first."""
        return self._seen[0]

    @property
    def vectors(self) -> Tensor:
        """(B, D)"""
        return self._seen[1]

    def maps_at(self, side: int) -> tuple[Tensor, ...]:
        """The maps of the same pictures brought to ``side`` x ``side``."""
        if self.pictures.shape[2:] == (side, side):
            return self.maps
        if side not in self._sized:
            square = interpolate(self.pictures, (side, side), mode="bilinear", align_corners=False, antialias=True)
            self._sized[side] = self.encoder(square)
        return self._sized[side]


def floats(frames: NDArray[np.uint8]) -> Tensor:
    """(B, V, 3, H, W) -> (B * V, 3, H, W) in 0..1, channels last, which is the faster way for convolutions."""
    pictures = torch.from_numpy(np.ascontiguousarray(frames)).flatten(0, 1).float() / 255
    return pictures.contiguous(memory_format=torch.channels_last)
