"""The first action of the chunk, clipped to the range of the controls where one is set."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from . import ActionMap


@dataclass(frozen=True)
class Config:
    """The range of the controls, in their own units."""

    low: float = -math.inf  # smallest command
    high: float = math.inf  # largest command

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError("low must be below high.")

    def build(self) -> "Direct":
        return Direct(self)


class Direct(ActionMap):
    """``clip(chunk[0])``, every step anew."""

    def __init__(self, config: Config):
        self.config = config

    def reset(self, fresh: NDArray[np.bool_]) -> None:
        pass

    def __call__(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        return chunk[:, 0].clip(self.config.low, self.config.high)
