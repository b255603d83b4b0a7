"""Colours of a coarse grid, and how they change from cell to cell: what needs no weights, and knows no meaning."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from . import Encoder


@dataclass(frozen=True)
class Config:
    """How coarse the grid is."""

    rows: int = 6  # of the grid that pictures are averaged to; raising it tells smaller things apart
    columns: int = 8  # likewise

    def build(self) -> "Pixels":
        return Pixels(self)


class Pixels(Encoder):
    """The picture and its two gradients as maps; their mean and spread in each cell as the vector."""

    layers = ("picture", "gradients")

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.name = f"pixels {config.rows}x{config.columns}, no network"

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        across = nn.functional.pad(pictures.diff(dim=3), (0, 1))
        down = nn.functional.pad(pictures.diff(dim=2), (0, 0, 0, 1))
        return pictures, torch.cat([across, down], 1)

    def vectors(self, maps: tuple[Tensor, ...]) -> Tensor:
        grid = self.config.rows, self.config.columns
        seen = torch.cat(maps, 1)
        mean = nn.functional.adaptive_avg_pool2d(seen, grid)
        spread = (nn.functional.adaptive_avg_pool2d(seen.square(), grid) - mean.square()).clamp(min=0).sqrt()
        return torch.cat([mean, spread], 1).flatten(1)
