"""Match the second-order statistics of the two feature clouds (Sun & Saenko 2016, equation 1)."""

from dataclasses import dataclass

from torch import Tensor

from ..data import Joint
from . import Alignment


@dataclass(frozen=True)
class Config:
    """Nothing to set."""

    def build(self, width: int, actions: int) -> "Coral":
        return Coral()


class Coral(Alignment):
    """``|C_s - C_t|_F^2 / (4 D^2)`` with C the covariance of the features. A batch of one has none: the loss is 0."""

    def forward(self, source: Joint, target: Joint, progress: float) -> Tensor:
        s, t = source.features, target.features
        if min(len(s), len(t)) < 2:
            return 0 * (s.sum() + t.sum())
        return (s.T.cov() - t.T.cov()).square().sum() / (4 * s.shape[1] ** 2)
