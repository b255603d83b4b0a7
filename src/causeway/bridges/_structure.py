"""What a ControlNet, or a denoiser of ours, is shown of a picture: its edges, how near things are, or what they are."""

import colorsys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError
from ..estimators import CLASSES, DEPTH, Estimator

ESTIMATED = ("depth", "segmentation")  # kinds of structure for which something has to look
GOLDEN = 0.618034  # of a turn, between the hues of neighbouring classes


def refuse_blind(kind: str, estimator: str) -> None:
    """Raise ConfigError where a ``kind`` of structure has to be estimated, and nothing is named that does."""
    if kind in ESTIMATED and not estimator:
        raise ConfigError(f"structure = '{kind}' needs an estimator: the folder or hub id of a transformers model.")


def structure(kind: str, estimator: str, palette: str, who: str = "bridge 'diffusion'") -> Callable[[Tensor], Tensor]:
    """What makes pictures (N, 3, H, W) in 0..1 into condition pictures of the same shape, for ``who`` asks."""
    if kind == "edges":
        return edges
    return Depth(estimator, who) if kind == "depth" else Segments(estimator, palette, who)


def edges(pictures: Tensor) -> Tensor:
    """White lines on black where brightness changes (Canny 1986)."""
    from kornia.filters import canny

    lines: Tensor = canny(pictures)[1]
    return lines.expand(-1, 3, -1, -1)


class Depth:
    """Near is bright, each picture from 0 to 1: for an estimator of inverse depth, as DPT and Depth Anything are."""

    def __init__(self, estimator: str, who: str):
        self.estimator = Estimator(DEPTH, estimator, who)

    def __call__(self, pictures: Tensor) -> Tensor:
        found = self.estimator.depth(pictures)
        low, high = found.amin((2, 3), keepdim=True), found.amax((2, 3), keepdim=True)
        near = (found - low) / (high - low).clamp(min=1e-6)
        return near.expand(-1, 3, -1, -1)


class Segments:
    """Each class in its colour."""

    def __init__(self, estimator: str, palette: str, who: str):
        self.estimator = Estimator(CLASSES, estimator, who)
        count = self.estimator.classes
        self.colours = _palette(Path(palette), count) if palette else _hues(count)

    def __call__(self, pictures: Tensor) -> Tensor:
        return self.colours.to(pictures.device)[self.estimator.seen(pictures)].permute(0, 3, 1, 2)


def _palette(file: Path, count: int) -> Tensor:
    """The colours in a file, (count, 3) in 0..1."""
    try:
        colours = np.loadtxt(file, ndmin=2)
    except (OSError, ValueError) as error:
        raise ConfigError(f"palette {file} cannot be read as 'r g b' a line: {error}") from None
    if colours.shape[1] != 3 or len(colours) < count or colours.min() < 0 or colours.max() > 255:
        raise ConfigError(f"palette {file} needs {count} lines 'r g b' of 0..255, one for each class of the estimator.")
    return torch.from_numpy(colours[:count] / 255).float()


def _hues(count: int) -> Tensor:
    """Colours that neighbouring classes do not share, (count, 3) in 0..1."""
    return torch.tensor([colorsys.hsv_to_rgb(GOLDEN * each % 1, 0.8, 0.5 + 0.5 * (each % 2)) for each in range(count)])
