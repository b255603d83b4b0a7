"""The kernel distance (Binkowski et al. 2018): the unbiased squared MMD of a cubic kernel, KID on any encoder.

    k(x, y) = (x'y / D + 1)^3

Unbiased: of sets of one kind it is 0 on average, and below 0 half of the time.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from . import Distance, Look, Products


@dataclass(frozen=True)
class Config:
    """It has no settings."""

    def build(self) -> "Kernel":
        return Kernel()


class Kernel(Distance):
    """Of the encoder's vectors, over all pairs: sets here are far below the thousands that subsets are drawn from."""

    bounds = (-math.inf, math.inf)

    def rows(self, look: Look) -> Tensor:
        vectors = look.vectors
        return vectors / math.sqrt(vectors.shape[1])

    def between(self, own: Products, other: Products, across: Products) -> float:
        a, b, ab = ((product + 1) ** 3 for product in (own, other, across))
        n, m = across.shape
        within = (a.sum() - a.trace()) / max(1, n * (n - 1)) + (b.sum() - b.trace()) / max(1, m * (m - 1))
        return float(within - 2 * ab.mean())
