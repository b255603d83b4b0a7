"""The proxy A-distance (Ben-David et al. 2007): how well a linear probe tells the sets apart on pictures held out.

    2 (1 - 2 * error):  0 where it cannot tell, 2 where it always can

The probe is ridge regression on the sets' labels (+-1), each half of both sets judged by the probe of the other half,
halves cut where the sets lie, so that neighbouring frames of a clip do not stand in both.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from . import Distance, Products


@dataclass(frozen=True)
class Config:
    """The probe."""

    ridge: float = 0.1  # pull of its weights to 0, as a share of the features' spread; raising it is more careful

    def __post_init__(self) -> None:
        if not self.ridge > 0:
            raise ConfigError(f"ridge must be above 0, not {self.ridge}.")

    def build(self) -> "Probe":
        return Probe(self.ridge)


class Probe(Distance):
    """Of the encoder's vectors."""

    bounds = (0.0, 2.0)

    def __init__(self, ridge: float):
        self.ridge = ridge

    def between(self, own: Products, other: Products, across: Products) -> float:
        both = np.block([[own, across], [across.T, other]])
        n, m = across.shape
        sign = np.concatenate([np.ones(n), -np.ones(m)])
        late = np.concatenate([np.arange(n) >= n // 2, np.arange(m) >= m // 2])
        errors = []
        for fitted in (~late, late):
            guess = self._guess(both, sign, fitted)
            errors += [np.mean(guess[~fitted & (sign == side)] * side <= 0) for side in (1, -1)]
        return 2 * (1 - 2 * min(0.5, float(np.mean(errors))))

    def _guess(self, products: Products, sign: Products, fitted: NDArray[np.bool_]) -> Products:
        """What a probe of the ``fitted`` pictures says of all: below 0 or above it. Both sets weigh the same."""
        ours = sign[fitted] > 0
        weight = np.where(ours, 0.5 / max(1, ours.sum()), 0.5 / max(1, (~ours).sum()))
        level = products[:, fitted] @ weight  # centred on the mean of what is fitted
        middle = weight @ level[fitted]
        centred = products[:, fitted] - level[:, None] - level[fitted] + middle
        root = np.sqrt(weight)
        kernel = root[:, None] * centred[fitted] * root
        pull = self.ridge * kernel.trace() / len(kernel) + 1e-12
        found: Products = centred @ (root * np.linalg.solve(kernel + pull * np.eye(len(kernel)), root * sign[fitted]))
        return found
