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
        if self.width < 1 or self.blocks < 0 or not 1 <= self.fold <= 32:
            raise ConfigError("needs width of 1 or more, blocks of 0 or more, and fold of 1 to 32.")

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
        self.whole = nn.ModuleList([nn.Linear(2 * width, width)] if config.blocks else [])
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
        whole = _statistics(x)
        for layer in self.whole:
            whole = _by_rows(layer, whole).relu()
        for block, told in zip(self.blocks, self.told):
            gain, bias = _by_rows(told, whole).to(x.dtype)[:, :, None, None].chunk(2, 1)
            x = (x + block(x) * (1 + gain) + bias).relu()
        change = nn.functional.pixel_shuffle(self.last(x), self.fold)[:, :, :height, :width]
        return (pictures + change).clamp(-1, 1)


def _statistics(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, 2C): means and spreads over places, in 32 bits, for the squares of small numbers."""
    x = x.float()
    means = x.mean((2, 3))
    spreads = (x - means[:, :, None, None]).square().mean((2, 3)).add(1e-6).sqrt()
    return torch.cat([means, spreads], 1)


def _by_rows(layer: nn.Module, rows: Tensor) -> Tensor:
    """A linear ``layer`` of each row by itself: a product of matrices rounds by how many there are."""
    assert isinstance(layer, nn.Linear)
    return (rows[:, None] * layer.weight).sum(2) + layer.bias
