"""A small convolutional policy trained from scratch: five convolutions, keypoints if asked for, a bottleneck, a head.

Group normalization keeps the two domains of a mixed batch from leaking into each other's statistics.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..data import Spec
from ..heads import laplace
from . import Sighted, floats
from ._keypoints import Keypoints, refuse_negative


@dataclass(frozen=True)
class Config:
    """The size of the network."""

    channels: tuple[int, ...] = (24, 32, 48, 64, 64)  # of each convolution; raising them learns more, slower
    keypoints: int = 0  # 0 keeps the grid; K > 0 finds K points by spatial softmax, and only two convolutions shrink it
    bottleneck: int = 64  # D, size of the feature where the domains meet
    head: Any = field(default_factory=laplace.Config)  # what turns features into actions
    dropout: float = 0.1  # share of the embedding dropped in training

    def __post_init__(self) -> None:
        refuse_negative(self.keypoints)

    def build(self, spec: Spec) -> "Convolutional":
        return Convolutional(self, spec)


class Convolutional(Sighted):
    """Strided convolutions over each camera, flattened so that places in the picture stay places in the feature, or
    read as the places of keypoints, which move with what they lie on wherever that is."""

    def __init__(self, config: Config, spec: Spec):
        layers: list[nn.Module] = []
        before = 3
        for i, after in enumerate(config.channels):
            strided = i < 2 if config.keypoints else i < 4
            kernel, stride = 5 if i < 3 else 3, 1 + strided
            layers += [
                nn.Conv2d(before, after, kernel, stride, kernel // 2),
                nn.GroupNorm(math.gcd(8, after), after),
                nn.ReLU(),
            ]
            before = after
        if config.keypoints:
            layers.append(Keypoints(before, config.keypoints))
        eye = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            embedding = eye(torch.zeros(1, 3, spec.height, spec.width)).shape[1] * spec.cameras
        super().__init__(spec, embedding, config.bottleneck, config.head, config.dropout)
        self.eye = eye

    def embed(self, images: Tensor, points: Tensor | None = None) -> Tensor:
        seen: Tensor = self.eye(floats(images) - 0.5)
        return seen.reshape(len(images), -1)
