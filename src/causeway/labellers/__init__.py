"""Actions for moments that nobody demonstrated. One file per labeller."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from ..data import Moments


class Labeller(ABC):
    """A guess at what a demonstrator would have done. Its Config has ``build() -> Labeller``.

    A labeller looks at whole recordings, back and forth in time, which a policy that drives can never do.
    """

    height: int = 60  # of the whole, uncropped pictures it wants to see
    width: int = 80

    @abstractmethod
    def label(self, source: Moments, target: Moments) -> NDArray[np.float32]:
        """Guessed actions (M, A) for every frame of ``target``, in the units of the demonstrated ``source``."""
