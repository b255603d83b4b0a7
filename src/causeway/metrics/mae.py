"""Mean absolute error of the predicted action, in the units of the recording."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import Metric, Trace, recorded


@dataclass(frozen=True)
class Config:
    """Which action to compare."""

    index: int = 0  # which of the A actions; 0 is steering in driving data

    def build(self) -> "MeanAbsoluteError":
        return MeanAbsoluteError(self)


class MeanAbsoluteError(Metric):
    """``mean(|p - y|)``."""

    direction = "lower"

    def __init__(self, config: Config):
        self.index = config.index

    def measure(self, traces: Sequence[Trace]) -> float:
        guess, truth = recorded(traces, self.index)
        if not len(truth):
            return float("nan")
        return float(np.abs(guess - truth).mean())
