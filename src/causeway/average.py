"""A running average of weights, which drives more steadily than the last of them (Polyak & Juditsky 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

LEAST = 1e-4  # share of the newest weights, as published: at any power, no more than some 10 000 steps are averaged


class Average:
    """The average of the weights of a part that learn; buffers are not averaged.

    After step t = 1, 2, ... it goes the share t ** -power of the way to the weights, as diffusers' EMAModel does in its
    warm-up: at power 1 it is their mean, below it forgets the older ones. At power 0 nothing is kept or done.
    """

    def __init__(self, part: nn.Module, power: float):
        self.power = power
        self.weights: list[Tensor] = [weight for weight in part.parameters() if weight.requires_grad and power]
        self.values: list[Tensor] = [weight.detach().clone() for weight in self.weights]

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Take in the weights after ``step`` steps."""
        if self.values:
            torch._foreach_lerp_(self.values, self.weights, max(step**-self.power, LEAST))

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the average and the weights."""
        for value, weight in zip(self.values, self.weights, strict=True):
            kept = weight.clone()
            weight.copy_(value)
            value.copy_(kept)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The part with the average as its weights, for a while."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def restore(self, values: list[Tensor]) -> None:
        """Go on from a saved average."""
        for value, saved in zip(self.values, values, strict=True):
            value.copy_(saved)
