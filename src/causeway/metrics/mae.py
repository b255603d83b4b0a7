"""Mean absolute error of the predicted action, in the units of the recording."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import Recorded


@dataclass(frozen=True)
class Config:
    """Which action to compare."""

    index: int | str = 0  # which of the A actions, by its number or name; 0 is steering in driving data

    def build(self) -> "MeanAbsoluteError":
        return MeanAbsoluteError(self.index)


class MeanAbsoluteError(Recorded):
    """``mean(|p - y|)``."""

    direction = "lower"
    bounds = (0.0, math.inf)

    def compare(self, guess: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
        return float(np.abs(guess - truth).mean())
