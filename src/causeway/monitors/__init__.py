"""The last word before a command leaves: is it safe? One file per monitor."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Monitor(ABC):
    """Its Config has ``build() -> Monitor``. One monitor serves n worlds at once and may remember."""

    @abstractmethod
    def reset(self, fresh: NDArray[np.bool_]) -> None:
        """Forget the past of the ``fresh`` (n,) worlds, whose episodes begin."""

    @abstractmethod
    def __call__(self, command: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, A) a command -> (n, A) a safe command."""

    def refuse_other_actions(self, actions: Sequence[str]) -> None:  # noqa: B027  most take any
        """Raise a ConfigError where its settings do not fit these ``actions``."""
