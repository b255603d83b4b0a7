"""A small network that redraws in real time what another bridge taught it: see the method ``distillation``.

It works at a fraction of the picture's size and gives back a change of the picture, so that what need not change costs
nothing and stays sharp. Means and spreads of its first channels over the whole picture tell each block how much to do
(FiLM, Perez et al. 2018): what a teacher does may hang on all of a picture, as where it normalizes.
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
        self.whole = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU())
        self.told = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(config.blocks))
        self.last = nn.Conv2d(width, 3 * self.fold**2, 3, padding=1)
        for begun in (*self.told, self.last):
            nn.init.zeros_(begun.weight)
            nn.init.zeros_(begun.bias)

    def forward(self, images: Tensor) -> Tensor:
        return redrawn(self.change, images)

    def change(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in -1..1 -> the same, redrawn; sides that ``fold`` does not divide are grown meanwhile."""
        height, width = pictures.shape[2:]
        grown = nn.functional.pad(pictures, (0, -width % self.fold, 0, -height % self.fold), mode="replicate")
        x = nn.functional.pixel_unshuffle(grown, self.fold).contiguous(memory_format=torch.channels_last)
        x = self.first(x).relu()
        whole = self.whole(torch.cat([x.mean((2, 3)), x.flatten(2).std(2, correction=0)], 1))
        for block, told in zip(self.blocks, self.told):
            gain, bias = told(whole)[:, :, None, None].chunk(2, 1)
            x = (x + block(x) * (1 + gain) + bias).relu()
        change = nn.functional.pixel_shuffle(self.last(x), self.fold)[:, :, :height, :width]
        return (pictures + change).clamp(-1, 1)
