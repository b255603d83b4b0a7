"""How much of the route was driven, on average over episodes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import Metric, Trace


@dataclass(frozen=True)
class Config:
    """Nothing to set."""

    def build(self) -> "Completion":
        return Completion()


class Completion(Metric):
    """Mean of the completed share of the route, 0..1."""

    direction = "higher"
    bounds = (0.0, 1.0)

    def measure(self, traces: Sequence[Trace]) -> float:
        shares = [trace.completion for trace in traces if trace.end]
        return float(np.mean(shares)) if shares else float("nan")
