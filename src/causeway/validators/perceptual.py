"""The distance of features, place by place, layer by layer: the form of LPIPS (Zhang et al. 2018).

    mean over layers of mean over places of |f_l(before) - f_l(after)|^2,  each f of length 1

without the weights that LPIPS learned for its channels: no LPIPS to be compared with papers'.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from . import Limited, Look, Validator


@dataclass(frozen=True)
class Config(Limited):
    """What sees."""

    def build(self) -> "Perceptual":
        return Perceptual()


class Perceptual(Validator):
    """From 0 to 4, the squared distance of two directions."""

    def forward(self, before: Look, after: Look) -> Tensor:
        apart = []
        for a, b in zip(before.maps, after.maps):
            a, b = (seen / seen.square().sum(1, keepdim=True).add(1e-10).sqrt() for seen in (a, b))
            apart.append((a - b).square().sum(1).mean((1, 2)))
        return torch.stack(apart).mean(0)
