"""Losses that pull two domains together. One file per alignment."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from ..data import Joint


class Alignment(nn.Module, ABC):
    """A loss between two clouds of (feature, action) pairs. Its Config has ``build(width, actions) -> Alignment``,
    with ``width`` the size D of a feature and ``actions`` the size T * A of a chunk."""

    @abstractmethod
    def forward(self, source: Joint, target: Joint, progress: float) -> Tensor:
        """How far apart the two batches are, as a scalar that training lowers. The batches may differ in size."""

    def notes(self) -> dict[str, float]:
        """What the last forward saw and the log should show."""
        return {}
