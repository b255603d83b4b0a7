"""Gaussian noise of a random level on every training picture (Min2Real, "image augmentation": levels 0 to 100 of 255).

The strongest single component that paper measured in CARLA. Each picture draws its own level, so that the policy meets
clean and drowned pictures alike. What is redrawn once, for a data set or a report, draws its noise by the clip.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ConfigError
from . import Bridge, chance


@dataclass(frozen=True)
class Config:
    """How noisy the noisiest picture may be."""

    level: float = 100.0  # largest standard deviation, of 255; raising it hides more texture, and in the end the road

    def __post_init__(self) -> None:
        if self.level < 0:
            raise ConfigError(f"level must not be negative, but it is {self.level}.")

    def build(self) -> "Noise":
        return Noise(self)


class Noise(Bridge):
    """``x + s * e`` with ``s`` uniform in 0..level for each moment and ``e`` standard normal."""

    version = 2

    def __init__(self, config: Config):
        super().__init__()
        self.config, self.level = config, config.level
        self._seed = 0  # of a clip

    def clip(self, seed: int) -> None:
        self._seed = seed

    def forward(self, images: Tensor) -> Tensor:
        if self.level == 0:
            return images
        if self.training:
            return self._noisy(images, None)
        return torch.cat([self._noisy(one[None], chance(self._seed, one)) for one in images])

    def _noisy(self, images: Tensor, drawn: torch.Generator | None) -> Tensor:
        where = images.device if drawn is None else drawn.device
        spread = self.level * torch.rand(len(images), 1, 1, 1, 1, device=where, generator=drawn)
        noise = spread * torch.randn(images.shape, device=where, generator=drawn)
        return (images + noise.to(images.device)).round_().clamp_(0, 255).to(torch.uint8)
