"""Pearson correlation of the predicted and the recorded action, over all moments together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import Recorded


@dataclass(frozen=True)
class Config:
    """Which action to compare."""

    index: int | str = 0  # which of the A actions, by its number or name; 0 is steering in driving data

    def build(self) -> "Correlation":
        return Correlation(self.index)


class Correlation(Recorded):
    """``cov(p, y) / (std(p) std(y))``; a constant prediction scores 0, a constant truth has no number."""

    version = 2
    direction = "higher"
    bounds = (-1.0, 1.0)

    def compare(self, guess: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
        if truth.std() < 1e-9:
            return float("nan")
        if guess.std() < 1e-9:
            return 0.0  # a constant tells nothing
        return float(np.corrcoef(guess, truth)[0, 1])
