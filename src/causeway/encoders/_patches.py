"""Vision transformers of transformers as encoders: maps of their patches at four depths, and a vector of their own."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from . import Encoder

DEPTHS = 4  # at which maps are shown: after a quarter of the blocks, a half, ...


class Patches(Encoder):
    """Pictures are brought to the square that the network learned from."""

    def __init__(self, name: str, weights: str, model: Any, side: int, mean: tuple[float, ...], std: tuple[float, ...]):
        super().__init__()
        known = "random weights" if weights == "random" else weights.rstrip("/").rsplit("/")[-1]
        self.name, self.model, self.side = f"{name}, {known}", model, side
        self.blocks = [round(model.config.num_hidden_layers * step / DEPTHS) for step in range(1, DEPTHS + 1)]
        self.layers = tuple(f"block{number}" for number in self.blocks)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))
        self.requires_grad_(False).eval()

    @abstractmethod
    def vector(self, seen: Any) -> Tensor:
        """(B, D) of what the network gave."""

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        return self.seen(pictures)[0]

    def seen(self, pictures: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        size = (self.side, self.side)
        square = interpolate(pictures, size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        found = self.model(pixel_values=(square - self.mean) / self.std, output_hidden_states=True)
        rows = self.side // self.model.config.patch_size
        maps = tuple(found.hidden_states[block][:, -(rows**2) :].mT.unflatten(2, (rows, rows)) for block in self.blocks)
        return maps, self.vector(found)
