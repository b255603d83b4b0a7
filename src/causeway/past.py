"""What was commanded last, world by world: the memory of action maps and monitors."""

import numpy as np
from numpy.typing import NDArray


class Past:
    """The last command of each of n worlds."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None  # (n, A)

    def forget(self, fresh: NDArray[np.bool_]) -> None:
        """The ``fresh`` (n,) worlds have none, and where their number has changed none has."""
        if self._last is None or len(self._last) != len(fresh):
            self._last = None
        else:
            self._last[fresh] = np.nan

    def before(self, command: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, A) the commands before ``command``, NaN in worlds that have had none."""
        return np.full_like(command, np.nan) if self._last is None else self._last

    def keep(self, command: NDArray[np.float32]) -> None:
        """These are the last ones now."""
        self._last = command.copy()
