"""Style transfer by one network (Johnson et al. 2016): textures of theirs, things where ours have them.

    L = style * sum over shallow layers l of |G_l(drawn) - G_l(theirs)|^2 / |G_l(theirs)|^2
      + content * |F(drawn) - F(ours)|^2 / |F(ours)|^2

where G is the Gram matrix of an encoder's map, averaged over the pictures of a step, or with ``match = "moments"`` the
mean and spread of each of its channels (AdaIN's measure, Huang & Belongie 2017), and F a deeper map. Each term is in
units of what it is compared with, so the weights mean the same for every encoder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from ..encoders import Encoder, squeezenet, tell_random
from ..errors import ConfigError
from . import Bridge, redrawn
from ._networks import Generator

SHALLOW = 3  # layers whose statistics are style


@dataclass(frozen=True)
class Config:
    """What sees, what is matched, and how hard."""

    encoder: Any = field(default_factory=squeezenet.Config)  # whose features are compared; weights make it see things
    match: Literal["gram", "moments"] = "gram"  # statistics of style; "moments" alone take colours and contrast over
    style: float = 1.0  # weight of theirs' textures; raising it redraws more
    content: float = 1.0  # weight of ours' things; raising it redraws less
    layer: int = 3  # which of the encoder's maps is content, counted from 0; a deeper one lets more change
    width: int = 16  # channels of the network's first layer; doubling it is four times slower
    blocks: int = 3  # residual blocks; raising it changes more of the picture

    def __post_init__(self) -> None:
        if self.width < 1 or self.blocks < 0 or self.style < 0 or self.content < 0 or self.layer < 0:
            raise ConfigError("needs width of 1 or more, and no negative weight, layer or number of blocks.")

    def build(self) -> "Style":
        return Style(self)


class Style(Bridge):
    """The network is all that is kept; the encoder is read when there is something to learn."""

    learned = True

    def __init__(self, config: Config):
        super().__init__()
        self.config: Config = config
        self.generator = Generator(config.width, config.blocks)
        self._eyes: list[Encoder] = []  # a list hides it from the weights that are saved

    def begin(self) -> None:
        eye = self._encoder()
        tell_random(eye, "The bridge style")
        if self.config.layer >= len(eye.layers):
            raise ConfigError(f"layer = {self.config.layer}: {eye.name} has layers 0 to {len(eye.layers) - 1}.")

    def forward(self, images: Tensor) -> Tensor:
        return redrawn(self.generator, images)

    def cost(self, ours: Tensor, theirs: Tensor, progress: float) -> Mapping[str, Tensor]:
        eye = self._encoder().to(ours.device)
        drawn = eye((self.generator(ours) + 1) / 2)
        with torch.no_grad():
            before, like = eye((ours + 1) / 2), eye((theirs + 1) / 2)
        apart = [self._apart(new, old) for new, old in zip(drawn[:SHALLOW], like[:SHALLOW])]
        new, old = drawn[self.config.layer], before[self.config.layer]
        content = (new - old).square().mean() / old.square().mean().clamp(min=1e-8)
        return {"style": self.config.style * torch.stack(apart).sum(), "content": self.config.content * content}

    def _apart(self, drawn: Tensor, theirs: Tensor) -> Tensor:
        """How far the statistics of a layer (B, C, h, w) are from theirs, as a share of these."""
        new, old = (self._statistics(seen).mean(0) for seen in (drawn, theirs))
        return (new - old).square().sum() / old.square().sum().clamp(min=1e-12)

    def _statistics(self, seen: Tensor) -> Tensor:
        flat = seen.flatten(2)
        if self.config.match == "moments":
            return torch.cat([flat.mean(2), flat.std(2)], 1)
        return flat @ flat.transpose(1, 2) / flat.shape[2]

    def _encoder(self) -> Encoder:
        if not self._eyes:
            self._eyes.append(self.config.encoder.build())
        return self._eyes[0]
