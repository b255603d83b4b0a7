"""A discriminator guesses the domain, and its reversed gradient teaches the features to fool it (Ganin et al. 2016)."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ..data import Joint
from ..errors import ConfigError
from . import Alignment


@dataclass(frozen=True)
class Config:
    """The discriminator, and how hard the features work against it."""

    hidden: int = 128  # raising it gives the discriminator more capacity; it then finds finer differences
    layers: int = 1  # raising it gives the discriminator more hidden layers
    strength: float = 1.0  # raising it makes features care more about fooling than about their task, lambda
    ramp: float = 10.0  # raising it reaches full strength earlier in the run, gamma

    def build(self, width: int, actions: int) -> "Adversarial":
        if self.hidden < 1 or self.layers < 0 or self.strength < 0 or self.ramp < 0:
            raise ConfigError("adversarial needs hidden >= 1, and layers, strength and ramp >= 0.")
        return Adversarial(self, width)


class Adversarial(Alignment):
    """``(mean_i -log d(s_i) + mean_j -log(1 - d(t_j))) / 2``: log 2 for a discriminator d that cannot tell."""

    def __init__(self, config: Config, width: int):
        super().__init__()
        self.config = config
        sizes = [width] + [config.hidden] * config.layers
        body = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
        self.discriminator = nn.Sequential(*body, nn.Linear(sizes[-1], 1))
        self._told_apart: Tensor | None = None
        self._strength = 0.0

    def forward(self, source: Joint, target: Joint, progress: float) -> Tensor:
        self._strength = self.strength(progress)
        features = torch.cat([source.features, target.features])
        logits = self.discriminator(_Reverse.apply(features, self._strength)).squeeze(1)  # type: ignore[no-untyped-call]
        s, t = logits[: len(source.features)], logits[len(source.features) :]
        self._told_apart = ((s.detach() > 0).float().mean() + (t.detach() < 0).float().mean()) / 2
        return (softplus(-s).mean() + softplus(t).mean()) / 2  # a domain counts half, whatever its share of the batch

    def strength(self, progress: float) -> float:
        """``strength (2 / (1 + exp(-ramp progress)) - 1)``: none at first, when the discriminator knows nothing."""
        return self.config.strength * (2 / (1 + math.exp(-self.config.ramp * progress)) - 1)

    def notes(self) -> dict[str, float]:
        """``probe_accuracy``: the share of moments told apart before learning from them, .5 when none can be."""
        if self._told_apart is None:
            return {}
        return {"probe_accuracy": float(self._told_apart), "strength": self._strength}


class _Reverse(torch.autograd.Function):
    """The identity forwards; minus ``strength`` times the gradient backwards."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None
