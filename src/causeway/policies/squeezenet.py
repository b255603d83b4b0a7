"""SqueezeNet 1.0 (Iandola et al. 2016) as eyes: ImageNet features at 2 ms a picture, frozen or tuned.

``weights`` names an ``.npz`` of arrays by layer (``conv1.w``, ``fire2__conv1x1_1.w``, ...) in Caffe's conventions:
blue-green-red, 0..255 minus the ImageNet mean, pooling with ceiling.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data import Spec
from ..errors import ConfigError
from ..heads import laplace
from . import Sighted, floats

FIRES = {2: (96, 16, 64), 3: (128, 16, 64), 4: (128, 32, 128), 5: (256, 32, 128)}  # number -> inputs, squeeze, expand
FIRES |= {6: (256, 48, 192), 7: (384, 48, 192), 8: (384, 64, 256), 9: (512, 64, 256)}
POOLED_BEFORE = (2, 5, 9)  # a 3x3 / 2 max pooling comes before these
MEAN = (104.0, 117.0, 123.0)  # of ImageNet: blue, green, red


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


class Fire(nn.Module):
    """Squeeze by 1x1, then expand by 1x1 and 3x3 side by side."""

    def __init__(self, inputs: int, squeeze: int, expand: int):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.small = nn.Conv2d(squeeze, expand, 1)
        self.large = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu_()
        return torch.cat([self.small(x), self.large(x)], 1).relu_()


class SqueezeNet(Sighted):
    """The first blocks of SqueezeNet, averaged on a grid, then a bottleneck and a head."""

    def __init__(self, config: Config, spec: Spec):
        embedding = 2 * FIRES[config.layer][2] * config.rows * config.columns * spec.cameras
        super().__init__(spec, embedding, config.bottleneck, config.head, config.dropout)
        self.config = config
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1) / 255)
        self.first = nn.Conv2d(3, 96, 7, 2)
        self.fires = nn.ModuleDict({str(n): Fire(*FIRES[n]) for n in range(2, config.layer + 1)})
        for weight in (*self.first.parameters(), *self.fires.parameters()):
            weight.requires_grad_(config.tuned)

    @property
    def frozen(self) -> bool:
        return not self.config.tuned

    @property
    def sight(self) -> str:
        return f"squeezenet {self.config.layer} {self.config.rows}x{self.config.columns}"

    def embed(self, images: Tensor, points: Tensor | None = None) -> Tensor:
        with torch.set_grad_enabled(self.config.tuned and torch.is_grad_enabled()):
            x = self.first(floats(images).flip(1).sub_(self.mean).mul_(255)).relu_()
            for number, fire in self.fires.items():
                if int(number) in POOLED_BEFORE:
                    x = nn.functional.max_pool2d(x, 3, 2, ceil_mode=True)
                x = fire(x)
            x = nn.functional.adaptive_avg_pool2d(x, (self.config.rows, self.config.columns))
        return x.reshape(len(images), -1)

    def begin(self) -> None:
        if self.config.weights == "random":
            return
        path = Path(self.config.weights)
        if not path.is_file():
            raise ConfigError(f"weights: there is no file {path}. Give 'random' or the path of an .npz.")
        with np.load(path) as arrays, torch.no_grad():
            layers = {"conv1": self.first}
            for number, fire in self.fires.items():
                assert isinstance(fire, Fire)
                layers[f"fire{number}__conv1x1_1"] = fire.squeeze
                layers[f"fire{number}__conv1x1_2"] = fire.small
                layers[f"fire{number}__conv3x3_2"] = fire.large
            for name, layer in layers.items():
                if f"{name}.w" not in arrays or arrays[f"{name}.w"].shape != tuple(layer.weight.shape):
                    raise ConfigError(
                        f"{path} does not hold SqueezeNet 1.0: '{name}.w' is missing or of another shape."
                    )
                layer.weight.copy_(torch.from_numpy(arrays[f"{name}.w"]))
                assert layer.bias is not None
                layer.bias.copy_(torch.from_numpy(arrays[f"{name}.b"]))
