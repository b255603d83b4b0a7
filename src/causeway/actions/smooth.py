"""The first action of the chunk, averaged with the commands before it: steadier hands, a little later."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bounds import Bound, refuse_empty, refuse_other_actions
from ..errors import ConfigError
from ..past import Past
from . import ActionMap


@dataclass(frozen=True)
class Config:
    """How much of the past stays."""

    memory: float = 0.5  # share of the last command in the next, 0..1; raising it steadies and delays
    low: Bound = -math.inf  # smallest command: of all actions, or a list of one for each
    high: Bound = math.inf  # largest command, likewise

    def __post_init__(self) -> None:
        if not 0 <= self.memory < 1:
            raise ConfigError(f"memory is a share below 1, not {self.memory}.")
        refuse_empty(self.low, self.high)

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
        command = mixed.clip(self.config.low, self.config.high).astype(np.float32)
        self.past.keep(command)
        return command

    def refuse_other_actions(self, actions: Sequence[str]) -> None:
        refuse_other_actions("action", self.config, actions)
