"""SqueezeNet 1.0 (Iandola et al. 2016) as eyes: ImageNet features at 2 ms a picture, frozen or tuned.

``weights`` names an ``.npz`` of arrays by layer (``conv1.w``, ``fire2__conv1x1_1.w``, ...) in Caffe's conventions:
blue-green-red, 0..255 minus the ImageNet mean, pooling with ceiling.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data import Spec
from ..encoders.squeezenet import FIRES, Trunk
from ..errors import ConfigError
from ..heads import laplace
from . import Sighted, floats


@dataclass(frozen=True)
class Config:
    """Which features, and whether they may change."""

    weights: str = "random"  # "random", or the path of an .npz; the constructor never downloads
    layer: int = 6  # last fire block used, 2..9; raising it sees more meaning and less place
    rows: int = 4  # the picture's features are averaged to this many rows ...
    columns: int = 8  # ... and columns; raising them keeps more of the place, and more weights to learn
    tuned: bool = False  # whether the eyes learn too; frozen eyes allow features to be kept on disk
    bottleneck: int = 64  # D, size of the feature where the domains meet
    head: Any = field(default_factory=laplace.Config)  # what turns features into actions
    dropout: float = 0.2  # share of the embedding dropped in training

    def __post_init__(self) -> None:
        if self.layer not in FIRES:
            raise ConfigError(f"layer must be 2 to 9, not {self.layer}.")

    def build(self, spec: Spec) -> "SqueezeNet":
        return SqueezeNet(self, spec)


class SqueezeNet(Sighted):
    """The first blocks of SqueezeNet, averaged on a grid, then a bottleneck and a head."""

    def __init__(self, config: Config, spec: Spec):
        embedding = 2 * FIRES[config.layer][2] * config.rows * config.columns * spec.cameras
        super().__init__(spec, embedding, config.bottleneck, config.head, config.dropout)
        self.config = config
        self.trunk = Trunk(config.layer)
        for weight in self.trunk.parameters():
            weight.requires_grad_(config.tuned)

    @property
    def frozen(self) -> bool:
        return not self.config.tuned

    @property
    def sight(self) -> str:
        return f"squeezenet {self.config.layer} {self.config.rows}x{self.config.columns}"

    def embed(self, images: Tensor, points: Tensor | None = None) -> Tensor:
        with torch.set_grad_enabled(self.config.tuned and torch.is_grad_enabled()):
            *_, (_, x) = self.trunk.stages(floats(images))
            x = nn.functional.adaptive_avg_pool2d(x, (self.config.rows, self.config.columns))
        return x.reshape(len(images), -1)

    def begin(self) -> None:
        if self.config.weights != "random":
            self.trunk.read(Path(self.config.weights))
