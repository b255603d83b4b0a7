"""From the policy's chunk of actions to the command the vehicle takes. One file per action map."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class ActionMap(ABC):
    """Its Config has ``build() -> ActionMap``. One action map serves n worlds at once and may remember."""

    @abstractmethod
    def reset(self, fresh: NDArray[np.bool_]) -> None:
        """Forget the past of the ``fresh`` (n,) worlds, whose episodes begin."""

    @abstractmethod
    def __call__(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, T, A) predicted actions -> (n, A) the command now."""

    def refuse_other_actions(self, actions: Sequence[str]) -> None:  # noqa: B027  most take any
        """Raise a ConfigError where its settings do not fit these ``actions``."""
