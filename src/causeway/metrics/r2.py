"""Share of the variance of the recorded action that the prediction explains (1 is perfect, 0 a constant)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import Metric, Trace, recorded


@dataclass(frozen=True)
class Config:
    """Which action to compare."""

    index: int = 0  # which of the A actions; 0 is steering in driving data

    def build(self) -> "DeterminationCoefficient":
        return DeterminationCoefficient(self)


class DeterminationCoefficient(Metric):
    """``1 - sum((p - y)^2) / sum((y - mean(y))^2)``."""

    direction = "higher"

    def __init__(self, config: Config):
        self.index = config.index

    def measure(self, traces: Sequence[Trace]) -> float:
        guess, truth = recorded(traces, self.index)
        if not len(truth):
            return float("nan")
        spread = float(np.square(truth - truth.mean()).sum())
        return 1 - float(np.square(guess - truth).sum()) / spread if spread > 0 else float("nan")
