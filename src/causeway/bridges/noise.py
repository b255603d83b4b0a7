"""Gaussian noise of a random level on every training picture (Min2Real, "image augmentation": levels 0 to 100 of 255).

The strongest single component that paper measured in CARLA. Each picture draws its own level, so that the policy meets
clean and drowned pictures alike; in evaluation the bridge lets pictures pass unchanged.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ConfigError
from . import Bridge


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
    """``x + s * e`` with ``s`` uniform in 0..level for each moment and ``e`` standard normal, in training only."""

    def __init__(self, config: Config):
        super().__init__()
        self.config, self.level = config, config.level

    def forward(self, images: Tensor) -> Tensor:
        if not self.training or self.level == 0:
            return images
        spread = self.level * torch.rand(len(images), 1, 1, 1, 1, device=images.device)
        noisy = images + spread * torch.randn(images.shape, device=images.device)
        return noisy.round_().clamp_(0, 255).to(torch.uint8)
