"""Pearson correlation of the predicted and the recorded action, over all moments together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import Metric, Trace, recorded


@dataclass(frozen=True)
class Config:
    """Which action to compare."""

    index: int = 0  # which of the A actions; 0 is steering in driving data

    def build(self) -> "Correlation":
        return Correlation(self)


class Correlation(Metric):
    """``cov(p, y) / (std(p) std(y))``; a constant prediction scores 0."""

    direction = "higher"

    def __init__(self, config: Config):
        self.index = config.index

    def measure(self, traces: Sequence[Trace]) -> float:
        guess, truth = recorded(traces, self.index)
        if not len(truth):
            return float("nan")
        if guess.std() < 1e-9 or truth.std() < 1e-9:
            return 0.0  # a constant tells nothing
        return float(np.corrcoef(guess, truth)[0, 1])
