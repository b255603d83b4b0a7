"""Networks of transformers that say of each place of a picture how far it is, or what is there."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .errors import ConfigError, MissingExtra

DEPTH, CLASSES = "AutoModelForDepthEstimation", "AutoModelForSemanticSegmentation"


class Estimator:
    """One that never learns: the folder that save_pretrained wrote, its image processor included, or a hub id.

    Raises ConfigError where neither is within reach, MissingExtra without transformers; ``who`` asks.
    """

    def __init__(self, kind: str, folder: str, who: str):
        try:
            import transformers as library
        except ImportError:
            raise MissingExtra(who, "transformers", "diffusion") from None
        transformers: Any = library  # half of it has no types
        local = Path(folder).is_dir()
        try:
            model = getattr(transformers, kind).from_pretrained(folder, local_files_only=local)
            self.prepare = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=local)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{who} cannot load the estimator '{folder}' by {kind}: give a folder that save_pretrained "
                f"wrote, its image processor included, or a hub id within reach. ({str(error).splitlines()[0]})"
            ) from None
        self.model = model.requires_grad_(False).eval()

    @property
    def classes(self) -> int:
        """How many it tells apart."""
        return int(self.model.config.num_labels)

    def depth(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in 0..1 -> what it says of depth, (N, 1, H, W)."""
        return _grown(self._asked(pictures).predicted_depth[:, None], pictures)

    def scores(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in 0..1 -> the score of each class, (N, C, H, W)."""
        return _grown(self._asked(pictures).logits, pictures)

    def _asked(self, pictures: Tensor) -> Any:
        """What it says of pictures that its own processor brings to its size."""
        frames = pictures.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        shown = self.prepare(images=list(frames), return_tensors="pt")
        return self.model.to(pictures.device)(pixel_values=shown["pixel_values"].to(pictures.device))


def _grown(found: Tensor, pictures: Tensor) -> Tensor:
    return nn.functional.interpolate(found, pictures.shape[2:], mode="bilinear", align_corners=False)
