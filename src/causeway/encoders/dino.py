"""DINOv2 (Oquab et al. 2023): what is where, learned from pictures alone; an eye to measure by (Stein et al. 2023)."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..hub import library, model
from ._patches import Patches
from .vgg import IMAGENET_MEAN, IMAGENET_STD

WHO = "encoder 'dino'"
SIDE = 224  # pixels that pictures are brought to, at most
TINY = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 56}


@dataclass(frozen=True)
class Config:
    """Which DINOv2."""

    weights: str = "random"  # "random" is a tiny one for trials; else a folder that save_pretrained wrote, or a hub id

    def build(self) -> "Dino":
        return Dino(self)


class Dino(Patches):
    """The vector is the class token."""

    def __init__(self, config: Config):
        if config.weights == "random":
            eyes = library(WHO).Dinov2Model(library(WHO).Dinov2Config(**TINY))
        else:
            eyes = model("Dinov2Model", config.weights, WHO)
        patch = eyes.config.patch_size
        side = min(SIDE, eyes.config.image_size) // patch * patch
        super().__init__("DINOv2", config.weights, eyes, side, IMAGENET_MEAN, IMAGENET_STD)

    def vector(self, seen: Any) -> Tensor:
        token: Tensor = seen.pooler_output
        return token
