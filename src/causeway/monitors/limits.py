"""Commands stay in range, change no faster than the actuators should, and are never undefined."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bounds import Bound, refuse_empty, refuse_other_actions
from ..errors import ConfigError
from ..past import Past
from . import Monitor


@dataclass(frozen=True)
class Config:
    """The limits, in the units of the command; the defaults are for controls in -1..1."""

    low: Bound = -1.0  # smallest command: of all actions, or a list of one for each
    high: Bound = 1.0  # largest command, likewise
    change: Bound = 0.5  # largest change from one step to the next; lowering it tames jerks and slows reactions

    def __post_init__(self) -> None:
        refuse_empty(self.low, self.high)
        if not np.greater(self.change, 0).all() or self.change == ():
            raise ConfigError(f"change must be above 0, not {self.change}.")

    def build(self) -> "Limits":
        return Limits(self)


class Limits(Monitor):
    """Clips range and rate; a command that is not finite becomes the last safe one, or 0 at the start."""

    def __init__(self, config: Config):
        self.config = config
        self.past = Past()

    def reset(self, fresh: NDArray[np.bool_]) -> None:
        self.past.forget(fresh)

    def __call__(self, command: NDArray[np.float32]) -> NDArray[np.float32]:
        c = self.config
        past = self.past.before(command)
        begun = np.isfinite(past)
        anchor = np.where(begun, past, 0.0)
        safe = np.where(np.isfinite(command), command, anchor).clip(c.low, c.high)
        change = np.asarray(c.change, np.float32)
        safe = np.where(begun, safe.clip(anchor - change, anchor + change), safe).astype(np.float32)
        self.past.keep(safe)
        return safe

    def refuse_other_actions(self, actions: Sequence[str]) -> None:
        refuse_other_actions("monitor", self.config, actions)
