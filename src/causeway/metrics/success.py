"""The share of episodes driven to the end of the route, or of tasks done."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from . import Metric, Trace

Start = Literal["anywhere", "covered", "uncovered"]


@dataclass(frozen=True)
class Config:
    """Which episodes count."""

    start: Start = "anywhere"  # only those that begin where demonstrations of the target do, or where they do not

    def build(self) -> "Success":
        return Success(self.start)


class Success(Metric):
    """``mean(end == "completed")`` over episodes that have an end.

    Where one begins is told by the signal ``uncovered``, which is 1 beyond what the target's demonstrations cover.
    """

    direction = "higher"
    kind = "rate"
    bounds = (0.0, 1.0)

    def __init__(self, start: Start = "anywhere"):
        self.start = start

    def chosen(self, traces: Sequence[Trace]) -> list[Trace]:
        if self.start == "anywhere":
            return list(traces)
        told = [trace for trace in traces if "uncovered" in trace.signals]
        return [trace for trace in told if bool(trace.signals["uncovered"][0]) == (self.start == "uncovered")]

    def measure(self, traces: Sequence[Trace]) -> float:
        ended = [trace.end == "completed" for trace in self.chosen(traces) if trace.end]
        return float(np.mean(ended)) if ended else float("nan")
