"""Match what a few Gaussian kernels see of the two feature clouds (Gretton et al. 2012; Long et al. 2015)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Joint
from ..errors import ConfigError
from . import Alignment


@dataclass(frozen=True)
class Config:
    """How coarse and how fine the kernels look."""

    kernels: int = 5  # raising it looks at more scales, from coarse to fine
    spacing: float = 2.0  # raising it spreads the kernels' variances farther apart, each this many times the last
    width: float = 1.0  # raising it looks at coarser differences; the middle variance over the median squared distance

    def build(self, width: int, actions: int) -> "Mmd":
        if self.kernels < 1 or self.spacing <= 0 or self.width <= 0:
            raise ConfigError("mmd needs kernels >= 1, spacing > 0 and width > 0.")
        return Mmd(self)


class Mmd(Alignment):
    """``mean_{i!=j} k(s_i, s_j) + mean_{i!=j} k(t_i, t_j) - 2 mean k(s_i, t_j)`` with
    ``k(x, y) = mean_h exp(-|x - y|^2 / (2 h))``. Unbiased, hence below zero by chance when the clouds agree."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config

    def forward(self, source: Joint, target: Joint, progress: float) -> Tensor:
        n, m = len(source.features), len(target.features)
        if min(n, m) < 2:  # one moment has no distance to its like
            return 0 * (source.features.sum() + target.features.sum())
        x = torch.cat([source.features, target.features])
        with torch.autocast(x.device.type, enabled=False):
            distance = _squared_distances(x.to(torch.promote_types(x.dtype, torch.float32)))
            kernel = self._kernel(distance)
        ss, tt, st = kernel[:n, :n], kernel[n:, n:], kernel[:n, n:]
        within = (ss.sum() - ss.trace()) / (n * (n - 1)) + (tt.sum() - tt.trace()) / (m * (m - 1))
        return within - 2 * st.mean()

    def _kernel(self, distance: Tensor) -> Tensor:
        c = self.config
        off = ~torch.eye(len(distance), dtype=torch.bool, device=distance.device)
        middle = c.width * distance.detach()[off].median()
        powers = range(c.kernels)
        variances = [middle * c.spacing ** (p - (c.kernels - 1) / 2) for p in powers]
        tiny = torch.finfo(distance.dtype).tiny
        return torch.stack([torch.exp(-distance / (2 * h).clamp(min=tiny)) for h in variances]).mean(0)


def _squared_distances(x: Tensor) -> Tensor:
    """``|x_i - x_j|^2`` (N, N), about the common mean so that no digits cancel."""
    x = x - x.detach().mean(0)
    square = x.square().sum(1)
    return (square[:, None] + square - 2 * x @ x.T).clamp(min=0)
