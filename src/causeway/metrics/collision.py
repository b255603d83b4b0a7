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
    """``mean(end == "collision")`` over episodes that have an end; no number where none can end so."""

    direction = "lower"
    kind = "rate"
    bounds = (0.0, 1.0)

    def measure(self, traces: Sequence[Trace]) -> float:
        told = [trace for trace in traces if not trace.ends or "collision" in trace.ends]
        ended = [trace.end == "collision" for trace in told if trace.end]
        return float(np.mean(ended)) if ended else float("nan")
