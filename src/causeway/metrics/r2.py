"""Share of the variance of the recorded action that the prediction explains (1 is perfect, 0 a constant)."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import Recorded


@dataclass(frozen=True)
class Config:
    """Which action to compare."""

    index: int | str = 0  # which of the A actions, by its number or name; 0 is steering in driving data

    def build(self) -> "DeterminationCoefficient":
        return DeterminationCoefficient(self.index)


class DeterminationCoefficient(Recorded):
    """``1 - sum((p - y)^2) / sum((y - mean(y))^2)``."""

    direction = "higher"
    bounds = (-math.inf, 1.0)

    def compare(self, guess: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
        spread = float(np.square(truth - truth.mean()).sum())
        return 1 - float(np.square(guess - truth).sum()) / spread if spread > 0 else float("nan")
