"""CLIP's picture encoder (Radford et al. 2021): what a picture would be called; the eyes of CMMD and many scores.

CMMD is published with "openai/clip-vit-large-patch14-336".
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError
from ..hub import library, load, model
from ._patches import Patches

WHO = "encoder 'clip'"
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TINY = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 2}


@dataclass(frozen=True)
class Config:
    """Which CLIP."""

    weights: str = "random"  # "random" is a tiny one for trials; else a folder that save_pretrained wrote, or a hub id
    words_a: str = ""  # what A shows, such as "a photo of a road"; with words_b the way between them is asked for too
    words_b: str = ""  # what B shows, such as "a rendering of a road"

    def __post_init__(self) -> None:
        if bool(self.words_a) != bool(self.words_b):
            raise ConfigError("words_a and words_b are two ends of a way: give both, or neither.")
        if self.words_a and self.weights == "random":
            raise ConfigError("words_a and words_b need weights: a CLIP that has read.")

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
        if config.words_a:
            self.way = _way(config)

    def vector(self, seen: Any) -> Tensor:
        embedding: Tensor = seen.image_embeds
        return embedding


@torch.no_grad()
def _way(config: Config) -> NDArray[np.float32]:
    """E(words_b) - E(words_a), embeddings and way of length 1. Raises ConfigError where words are too many."""
    reader = model("CLIPTextModelWithProjection", config.weights, WHO).eval()
    tokenizer = load("CLIPTokenizer", config.weights, WHO)
    told = tokenizer([config.words_a, config.words_b], padding=True, return_tensors="pt")
    if (length := told.input_ids.shape[1]) > (most := reader.config.max_position_embeddings):
        raise ConfigError(f"{WHO}: words_a and words_b may be {most - 2} tokens long, not {length - 2}.")
    ends = torch.nn.functional.normalize(reader(**told).text_embeds, dim=1)
    found: NDArray[np.float32] = torch.nn.functional.normalize(ends[1] - ends[0], dim=0).numpy()
    return found
