"""The share of episodes driven to the end of the route."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import Metric, Trace


@dataclass(frozen=True)
class Config:
    """Nothing to set."""

    def build(self) -> "Success":
        return Success()


class Success(Metric):
    """``mean(end == "completed")`` over episodes that have an end."""

    direction = "higher"
    kind = "rate"
    bounds = (0.0, 1.0)

    def measure(self, traces: Sequence[Trace]) -> float:
        ended = [trace.end == "completed" for trace in traces if trace.end]
        return float(np.mean(ended)) if ended else float("nan")
