"""Images of one domain in, images of the other out. One file per bridge."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Bridge(nn.Module, ABC):
    """A change of appearance. Its Config has ``build() -> Bridge``."""

    config: object = None  # the settings it was built from, where it has any

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """(B, V, 3, H, W) uint8 -> (B, V, 3, H, W) uint8."""
