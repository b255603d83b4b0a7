"""Losses that pull two domains together. One file per alignment."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_gather

from ..data import Joint


class Alignment(nn.Module, ABC):
    """A loss between two clouds of moments. Its Config has ``build(width, actions) -> Alignment``,
    with ``width`` the size D of a feature and ``actions`` the size T * A of a chunk."""

    paired = False  # whether it takes the i-th moments of both batches for a pair

    @abstractmethod
    def forward(self, source: Joint, target: Joint, progress: float) -> Tensor:
        """How far apart the two batches are, as a scalar that training lowers. The batches may differ in size."""

    def notes(self) -> dict[str, float]:
        """What the last forward saw and the log should show."""
        return {}


def gathered(part: Tensor) -> Tensor:
    """What all ranks hold of a batch (B, ...), in one tensor (ranks * B, ...) through which gradients flow back: an
    alignment then compares the batches that the step is made of, not each rank's share of them."""
    if not distributed.is_available() or not distributed.is_initialized():
        return part
    return torch.cat(all_gather(part.contiguous()))  # type: ignore[no-untyped-call]
