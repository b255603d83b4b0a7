"""From traces to one number. One file per metric."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError


@dataclass(frozen=True)
class Trace:
    """What happened in one evaluated episode, or in one stretch of a recording: facts, no scores."""

    name: str  # the seed of a driven episode, or the recording and stretch
    actions: NDArray[np.float32]  # (N, A) the commands the agent gave
    reference: NDArray[np.float32] | None = None  # (N, A) what the person did; None in a closed loop
    time_s: NDArray[np.float64] | None = None  # (N,)
    end: str = ""  # how a driven episode ended: "completed", "off_road", "collision", "stuck", "lost", "timeout"
    completion: float = float("nan")  # the share of the route driven, 0..1
    signals: dict[str, NDArray[np.float32]] = field(default_factory=dict)  # (N,) each: intervened, lane_offset_m ...
    error: str = ""  # why the episode crashed; such a trace is counted, never scored
    names: tuple[str, ...] = ()  # (A,) of the actions; none where nobody wrote them down
    ends: tuple[str, ...] = ()  # how such an episode may end at all; none where nobody has said


class Metric(ABC):
    """A pure function from traces to one number. Its Config has ``build() -> Metric``."""

    version: ClassVar[int] = 1  # raised whenever the same traces would give another number
    direction: ClassVar[Literal["higher", "lower"]]  # which way is better
    kind: ClassVar[Literal["rate", "mean"]] = "mean"  # a rate's interval is at least Wilson's
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)  # the least and the most it can be

    @abstractmethod
    def measure(self, traces: Sequence[Trace]) -> float:
        """The number, over all ``traces`` together; nan where they do not hold what it needs."""

    def refuse_other_actions(self, name: str, actions: Sequence[str]) -> None:  # noqa: B027  most look at no action by its number
        """Raise a ConfigError, by the ``name`` that the metric goes by, where it looks at none of the ``actions``."""

    def chosen(self, traces: Sequence[Trace]) -> list[Trace]:
        """Those of ``traces`` that count."""
        return list(traces)


class Recorded(Metric):
    """A metric of one predicted action beside the recorded one, over all moments of all traces together."""

    def __init__(self, index: int | str):
        if isinstance(index, int) and index < 0:
            raise ConfigError(f"index counts actions from 0, and cannot be {index}.")
        self.index = index

    def refuse_other_actions(self, name: str, actions: Sequence[str]) -> None:
        known = self.index in actions if isinstance(self.index, str) else self.index < len(actions)
        if actions and not known:
            there = ", ".join(f"{i} {action}" for i, action in enumerate(actions))
            raise ConfigError(f"[metrics.{name}] index = {self.index!r}: there is no such action. There are {there}.")

    def measure(self, traces: Sequence[Trace]) -> float:
        pairs = [(t.actions[:, (i := self._place(t))], t.reference[:, i]) for t in traces if t.reference is not None]
        if not sum(len(truth) for _, truth in pairs):
            return float("nan")
        return self.compare(*(np.concatenate(side).astype(np.float64) for side in zip(*pairs, strict=True)))

    def _place(self, trace: Trace) -> int:
        """The column of the action. Raises ConfigError where the trace has none, or is too old to name it."""
        if isinstance(self.index, int) and self.index < trace.actions.shape[1]:
            return self.index
        if isinstance(self.index, str) and self.index in trace.names:
            return trace.names.index(self.index)
        there = ", ".join(trace.names) or f"{trace.actions.shape[1]} without names: test again to have them named"
        raise ConfigError(f"index = {self.index!r}: what was tested holds no such action, but {there}.")

    @abstractmethod
    def compare(self, guess: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
        """The number for (N,) predicted and (N,) recorded values, N above 0."""
