"""CMMD (Jayasumana et al. 2024): the squared MMD of a Gaussian kernel on vectors of length 1, times 1000.

    k(x, y) = exp(-|x - y|^2 / (2 * width^2)),  width = 10

as published, with the diagonal kept (biased, never below 0). It assumes no Gaussian and needs few pictures. Published
on CLIP ViT-L/14@336; on other encoders the number means what that encoder sees.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from ..errors import ConfigError
from . import Distance, Look, Products


@dataclass(frozen=True)
class Config:
    """The kernel."""

    width: float = 10.0  # of the Gaussian (sigma); lowering it sees finer differences, and needs more pictures

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise ConfigError(f"width must be above 0, not {self.width}.")

    def build(self) -> "Cmmd":
        return Cmmd(self.width)


class Cmmd(Distance):
    """Of the encoder's vectors, each brought to length 1."""

    unit = "x1000"

    def __init__(self, width: float):
        self.width = width

    def rows(self, look: Look) -> Tensor:
        return nn.functional.normalize(look.vectors, dim=1)

    def between(self, own: Products, other: Products, across: Products) -> float:
        a, b = own.diagonal(), other.diagonal()
        means = (
            np.exp(-(x[:, None] + y - 2 * xy).clip(0) / (2 * self.width**2)).mean()
            for x, y, xy in ((a, a, own), (b, b, other), (a, b, across))
        )
        within, without, between = means
        return float(1000 * (within + without - 2 * between))
