"""Networks of transformers that say of each place of a picture how far it is, or what is there."""

from typing import Any

import torch
from torch import Tensor, nn

from .hub import load, model

CHUNK = 4  # pictures at once: scores of many classes take room
DEPTH, CLASSES = "AutoModelForDepthEstimation", "AutoModelForSemanticSegmentation"


class Estimator:
    """One that never learns: the folder that save_pretrained wrote, its image processor included, or a hub id.

    Raises ConfigError where neither is within reach, MissingExtra without transformers, for ``who`` asks.
    """

    def __init__(self, kind: str, folder: str, who: str):
        self.model = model(kind, folder, who, "diffusion").requires_grad_(False).eval()
        self.prepare = load("AutoImageProcessor", folder, who, "diffusion")

    @property
    def classes(self) -> int:
        """How many it tells apart."""
        return int(self.model.config.num_labels)

    def depth(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in 0..1 -> what it says of depth, (N, 1, H, W)."""
        return _grown(self._asked(pictures).predicted_depth[:, None], pictures)

    def seen(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in 0..1 -> the class of each place, (N, H, W)."""
        found = [_grown(self._asked(some).logits, some).argmax(1) for some in torch.split(pictures, CHUNK)]
        return torch.cat(found)

    def _asked(self, pictures: Tensor) -> Any:
        """What it says of pictures that its own processor brings to its size."""
        frames = pictures.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        shown = self.prepare(images=list(frames), return_tensors="pt")
        return self.model.to(pictures.device)(pixel_values=shown["pixel_values"].to(pictures.device))


def _grown(found: Tensor, pictures: Tensor) -> Tensor:
    return nn.functional.interpolate(found, pictures.shape[2:], mode="bilinear", align_corners=False)
