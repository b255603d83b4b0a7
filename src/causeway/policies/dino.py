"""Frozen DINOv2 (Oquab et al. 2023) as eyes, through transformers: the extractor of Min2Real."""

import json
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..data import Spec
from ..heads import laplace
from ..hub import library, load, model
from . import Sighted, floats
from .resnet import IMAGENET_MEAN, IMAGENET_STD

WHO = "policy 'dino'"


@dataclass(frozen=True)
class Config:
    """Which DINOv2, and how its patches are read."""

    weights: str = "facebook/dinov2-small"  # "random" (tiny), a local folder in transformers' layout, or a hub id
    patches: tuple[int, int] = (7, 12)  # rows and columns of patches the picture is scaled to; more sees finer, slower
    grid: tuple[int, int] = (3, 6)  # rows and columns the patch features are averaged to
    bottleneck: int = 64  # D, size of the feature where the domains meet
    head: Any = field(default_factory=laplace.Config)  # what turns features into actions
    dropout: float = 0.2  # share of the embedding dropped in training
    shape: str = ""  # of the extractor, as JSON; a finished run keeps it and needs the folder or the hub no more

    def build(self, spec: Spec) -> "Dino":
        return Dino(self, spec)


class Dino(Sighted):
    """DINOv2 patch features on a grid, beside the class token; the extractor never learns."""

    def __init__(self, config: Config, spec: Spec):
        eyes = empty(config.weights, config.shape)
        embedding = eyes.config.hidden_size * (config.grid[0] * config.grid[1] + 1) * spec.cameras
        super().__init__(spec, embedding, config.bottleneck, config.head, config.dropout)
        self.config, self.eyes = config, eyes.requires_grad_(False)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))

    @property
    def frozen(self) -> bool:
        return True

    def kept(self) -> dict[str, Any]:
        return {"shape": self.eyes.config.to_json_string(use_diff=False)}

    @property
    def sight(self) -> str:
        return f"dino {self.config.weights} {self.config.patches} {self.config.grid}"

    def begin(self) -> None:
        if self.config.weights != "random":
            self.eyes.load_state_dict(model("Dinov2Model", self.config.weights, WHO).state_dict())

    def train(self, mode: bool = True) -> "Dino":
        super().train(mode)
        self.eyes.eval()  # a frozen extractor has no dropout either
        return self

    @torch.no_grad()
    def embed(self, images: Tensor, points: Tensor | None = None) -> Tensor:
        rows, columns = self.config.patches
        side = self.eyes.config.patch_size
        x = nn.functional.interpolate(
            floats(images), (rows * side, columns * side), mode="bilinear", antialias=True, align_corners=False
        )
        tokens = self.eyes(pixel_values=(x - self.mean) / self.std).last_hidden_state
        maps = tokens[:, 1:].transpose(1, 2).unflatten(2, (rows, columns))
        pooled = nn.functional.adaptive_avg_pool2d(maps, self.config.grid).flatten(1)
        return torch.cat([tokens[:, 0], pooled], 1).reshape(len(images), -1)


def empty(weights: str, shape: str = "") -> Any:
    """An untrained DINOv2 of ``shape`` (JSON), else of that which ``weights`` has; tiny for "random"."""
    if shape:
        return library(WHO).Dinov2Model(library(WHO).Dinov2Config.from_dict(json.loads(shape)))
    tiny = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 98}
    settings = load("Dinov2Config", weights, WHO) if weights != "random" else library(WHO).Dinov2Config(**tiny)
    return library(WHO).Dinov2Model(settings)
