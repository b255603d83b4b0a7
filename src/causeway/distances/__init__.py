"""How far two sets of pictures lie apart, by what an encoder makes of them. One file per distance."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..encoders import Look as Look

Rows = NDArray[np.float64]  # (N, D), what is kept of N pictures
Products = NDArray[np.float64]  # (N, M), the inner products of the rows of two sets
COLUMNS = 8192  # of rows, multiplied at once in double precision


class Distance(ABC):
    """Its Config has ``build() -> Distance``.

    Each picture is looked at once. What is then drawn anew, hundreds of times, are the inner products of its row with
    the others, which all distances here are made of: their cost does not grow with the length of a row.
    """

    version: ClassVar[int] = 1  # raised whenever the same pictures would give another number
    unit: ClassVar[str] = ""
    fewest: ClassVar[int] = 2  # pictures that a set must have
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)  # between which it lies

    def rows(self, look: Look) -> Tensor:
        """What the distance needs of each of B pictures, (B, D): the encoder's vectors, unless it says."""
        return look.vectors

    @abstractmethod
    def between(self, own: Products, other: Products, across: Products) -> float:
        """The distance of a set of N pictures from one of M, by the products (N, N), (M, M) and (N, M) of their rows:
        0 or about 0 for sets of one kind."""

    def of(self, ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> float:
        """The distance of two sets by their rows, (N, D) and (M, D)."""
        return self.between(products(ours, ours), products(theirs, theirs), products(ours, theirs))


def products(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> Products:
    """The inner products of rows (N, D) and (M, D) in double precision, a few columns at a time."""
    found = np.zeros((len(ours), len(theirs)))
    for start in range(0, ours.shape[1], COLUMNS):
        a, b = (rows[:, start : start + COLUMNS].astype(np.float64) for rows in (ours, theirs))
        found += a @ b.T
    return found
