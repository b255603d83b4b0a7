"""How far from the middle of its lane the vehicle drove, in metres, averaged over all steps of all episodes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import Metric, Trace


@dataclass(frozen=True)
class Config:
    """Nothing to set."""

    def build(self) -> "LaneOffset":
        return LaneOffset()


class LaneOffset(Metric):
    """Mean of ``|lane_offset_m|``. Read it beside completion: an agent that soon leaves the road has few steps."""

    direction = "lower"
    unit = "m"
    bounds = (0.0, math.inf)

    def measure(self, traces: Sequence[Trace]) -> float:
        offsets = [trace.signals["lane_offset_m"] for trace in traces if "lane_offset_m" in trace.signals]
        return float(np.abs(np.concatenate(offsets)).mean()) if offsets else float("nan")
