"""The first action of the chunk, clipped to the range of the controls where one is set."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bounds import Bound, refuse_empty, refuse_other_actions
from . import ActionMap


@dataclass(frozen=True)
class Config:
    """The range of the controls, in their own units."""

    low: Bound = -math.inf  # smallest command: of all actions, or a list of one for each
    high: Bound = math.inf  # largest command, likewise

    def __post_init__(self) -> None:
        refuse_empty(self.low, self.high)

    def build(self) -> "Direct":
        return Direct(self)


class Direct(ActionMap):
    """``clip(chunk[0])``, every step anew."""

    def __init__(self, config: Config):
        self.config = config

    def reset(self, fresh: NDArray[np.bool_]) -> None:
        pass

    def __call__(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        return chunk[:, 0].clip(self.config.low, self.config.high).astype(np.float32, copy=False)

    def refuse_other_actions(self, actions: Sequence[str]) -> None:
        refuse_other_actions("action", self.config, actions)
