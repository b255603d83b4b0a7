"""CLIP's picture encoder (Radford et al. 2021): what a picture would be called; the eyes of CMMD and many scores.

CMMD is published with "openai/clip-vit-large-patch14-336".
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..hub import library, model
from ._patches import Patches

WHO = "encoder 'clip'"
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TINY = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 2}


@dataclass(frozen=True)
class Config:
    """Which CLIP."""

    weights: str = "random"  # "random" is a tiny one for trials; else a folder that save_pretrained wrote, or a hub id

    def build(self) -> "Clip":
        return Clip(self)


class Clip(Patches):
    """The vector is the picture's embedding, where words would lie too."""

    def __init__(self, config: Config):
        if config.weights == "random":
            settings = library(WHO).CLIPVisionConfig(**TINY, image_size=64, patch_size=16, projection_dim=16)
            eyes = library(WHO).CLIPVisionModelWithProjection(settings)
        else:
            eyes = model("CLIPVisionModelWithProjection", config.weights, WHO)
        super().__init__("CLIP", config.weights, eyes, eyes.config.image_size, MEAN, STD)

    def vector(self, seen: Any) -> Tensor:
        embedding: Tensor = seen.image_embeds
        return embedding
