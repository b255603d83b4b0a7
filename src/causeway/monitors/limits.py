"""Commands stay in range, change no faster than the actuators should, and are never undefined."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..past import Past
from . import Monitor


@dataclass(frozen=True)
class Config:
    """The limits, in the units of the command; the defaults are for controls in -1..1."""

    low: float = -1.0  # smallest command
    high: float = 1.0  # largest command
    change: float = 0.5  # largest change from one step to the next; lowering it tames jerks and slows reactions

    def __post_init__(self) -> None:
        if self.low >= self.high or self.change <= 0:
            raise ConfigError("needs low < high and change > 0.")

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
        safe = np.where(begun, safe.clip(anchor - c.change, anchor + c.change), safe).astype(np.float32)
        self.past.keep(safe)
        return safe
