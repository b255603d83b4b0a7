"""The share of episodes that ended in a collision."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import Metric, Trace


@dataclass(frozen=True)
class Config:
    """Nothing to set."""

    def build(self) -> "Collision":
        return Collision()


class Collision(Metric):
    """``mean(end == "collision")`` over episodes that have an end."""

    direction = "lower"
    kind = "rate"
    bounds = (0.0, 1.0)

    def measure(self, traces: Sequence[Trace]) -> float:
        ended = [trace.end == "collision" for trace in traces if trace.end]
        return float(np.mean(ended)) if ended else float("nan")
