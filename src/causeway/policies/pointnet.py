"""Point clouds in the place of pictures: the small PointNet (Qi et al. 2017) of DP3 (Ze et al. 2024).

With x the points of a frame, in units of their spread over the demonstrations, and a max over the points,

    embedding = LayerNorm(A max_p mlp(x_p) + a)

so that neither their order nor repeated points matter. The O frames of a history are embedded one by one and joined.
Bridges and augmentation are for pictures: clouds are learned from as they are, but for ``shake``.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data import Moments, Spec
from ..errors import ConfigError
from ..heads import laplace
from . import Sighted

MOST = 1000  # moments from which the scale of the clouds is taken


@dataclass(frozen=True)
class Config:
    """The size of the network."""

    widths: tuple[int, ...] = (64, 128, 256)  # of the layers that every point passes; raising them learns more, slower
    embedding: int = 64  # numbers that a frame's cloud is told in; raising it keeps more of the cloud
    shake: float = 0.0  # metres that each point moves at random in training; raising it trusts single points less
    bottleneck: int = 64  # D, size of the feature where the domains meet
    head: Any = field(default_factory=laplace.Config)  # what turns features into actions
    dropout: float = 0.0  # share of the embedding dropped in training

    def __post_init__(self) -> None:
        if not self.widths or min(*self.widths, self.embedding, 1) < 1 or self.shake < 0:
            raise ConfigError("needs widths and embedding of 1 or more, and a shake that is not negative.")

    def build(self, spec: Spec) -> "PointNet":
        if not spec.points:
            raise ConfigError(
                "policy 'pointnet' looks at point clouds, and the dataset holds no point clouds: collect them with "
                "depth = true, do not leave them out with points = false, or choose a policy for pictures."
            )
        return PointNet(self, spec)


class PointNet(Sighted):
    """One network for every point, and of each of its outputs the largest over the cloud."""

    spatial = True

    def __init__(self, config: Config, spec: Spec):
        embedding = config.embedding * spec.history
        super().__init__(spec, embedding, config.bottleneck, config.head, config.dropout)
        layers: list[nn.Module] = []
        before = 3
        for after in config.widths:
            layers += [nn.Linear(before, after), nn.LayerNorm(after), nn.ReLU()]
            before = after
        self.point = nn.Sequential(*layers)
        self.cloud = nn.Sequential(nn.Linear(before, config.embedding), nn.LayerNorm(config.embedding))
        self.shake = config.shake
        self.centre: Tensor
        self.spread: Tensor
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("spread", torch.ones(()))

    def focus(self, moments: Moments) -> None:
        assert moments.points is not None
        chosen = np.unique(np.linspace(0, len(moments) - 1, MOST).astype(np.int64))
        seen = torch.from_numpy(moments.points[moments.rows[chosen]].astype(np.float32)).flatten(0, 1)
        spread = (seen - seen.mean(0)).square().mean().sqrt()  # one for all axes: a cube stays a cube
        self.centre.copy_(seen.mean(0))
        self.spread.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))

    def embed(self, images: Tensor, points: Tensor | None = None) -> Tensor:
        assert points is not None
        if self.training and self.shake:
            points = points + self.shake * torch.randn_like(points)
        frames = ((points - self.centre) / self.spread).reshape(len(points), self.spec.history, -1, 3)
        seen: Tensor = self.cloud(self.point(frames).amax(2))
        return seen.flatten(1)
