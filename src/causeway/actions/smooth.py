"""The first action of the chunk, averaged with the commands before it: steadier hands, a little later."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..past import Past
from . import ActionMap


@dataclass(frozen=True)
class Config:
    """How much of the past stays."""

    memory: float = 0.5  # share of the last command in the next, 0..1; raising it steadies and delays
    low: float = -math.inf  # smallest command
    high: float = math.inf  # largest command

    def __post_init__(self) -> None:
        if not (0 <= self.memory < 1 and self.low < self.high):
            raise ConfigError("memory is a share below 1, and low must be below high.")

    def build(self) -> "Smooth":
        return Smooth(self)


class Smooth(ActionMap):
    """``c_t = clip(memory * c_{t-1} + (1 - memory) * chunk_t[0])``; an episode's first command is taken as it is."""

    def __init__(self, config: Config):
        self.config = config
        self.past = Past()

    def reset(self, fresh: NDArray[np.bool_]) -> None:
        self.past.forget(fresh)

    def __call__(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        now = chunk[:, 0]
        past = self.past.before(now)
        past = np.where(np.isfinite(past), past, now)
        mixed = self.config.memory * past + (1 - self.config.memory) * now
        command = mixed.astype(np.float32).clip(self.config.low, self.config.high)
        self.past.keep(command)
        return command
