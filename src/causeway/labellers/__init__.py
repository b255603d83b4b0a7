"""Actions for moments that nobody demonstrated. One file per labeller."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..data import Moments


class Labeller(ABC):
    """A guess at what a demonstrator did. Its Config has ``build() -> Labeller``.

    A labeller looks at whole recordings, back and forth in time, which a policy that drives can never do.
    """

    height: int  # of the whole, uncropped pictures it wants to see
    width: int

    def refuse_other_actions(self, actions: Sequence[str]) -> None:  # noqa: B027  some guess whatever there is
        """Raise ConfigError where it can guess none of the ``actions``; asked before anything is looked at."""

    @abstractmethod
    def label(self, recorded: Moments, demonstrated: Moments, labelled: Moments) -> NDArray[np.float32]:
        """Guessed actions (M, A) for every frame of ``recorded``; nan where there is nothing to go by.

        The actions of ``recorded`` itself are hidden. ``demonstrated`` is the source's training set, ``labelled`` the
        few moments of the target with actions, perhaps none: they give the units.
        """
