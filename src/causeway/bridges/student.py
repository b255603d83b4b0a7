"""A small network that redraws in real time what another bridge taught it: see the method ``distillation``.

It works at a fraction of the picture's size and gives back a change of the picture, so that what need not change costs
nothing and stays sharp.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from . import Bridge, redrawn


@dataclass(frozen=True)
class Config:
    """How much it can learn, and how fast it is."""

    width: int = 48  # channels; doubling it learns more and is nearly four times slower
    blocks: int = 3  # residual blocks; each sees 4 * fold pixels farther
    fold: int = 4  # side of the square of pixels that become channels; 2 draws finer, nearly four times slower

    def __post_init__(self) -> None:
        if self.width < 1 or self.blocks < 0 or self.fold < 1:
            raise ConfigError("needs width and fold of 1 or more and blocks of 0 or more.")

    def build(self) -> "Student":
        return Student(self)


class Student(Bridge):
    """Begins as the identity."""

    learned = True

    def __init__(self, config: Config):
        super().__init__()
        self.config: Config = config
        width, self.fold = config.width, config.fold
        self.first = nn.Conv2d(3 * self.fold**2, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))
            for _ in range(config.blocks)
        )
        self.last = nn.Conv2d(width, 3 * self.fold**2, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, images: Tensor) -> Tensor:
        return redrawn(self.change, images)

    def change(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in -1..1 -> the same, redrawn; sides that ``fold`` does not divide are grown meanwhile."""
        height, width = pictures.shape[2:]
        grown = nn.functional.pad(pictures, (0, -width % self.fold, 0, -height % self.fold), mode="replicate")
        x = nn.functional.pixel_unshuffle(grown, self.fold).contiguous(memory_format=torch.channels_last)
        x = self.first(x).relu()
        for block in self.blocks:
            x = (x + block(x)).relu()
        change = nn.functional.pixel_shuffle(self.last(x), self.fold)[:, :, :height, :width]
        return (pictures + change).clamp(-1, 1)
