"""SqueezeNet 1.0 trained on ImageNet (Iandola et al. 2016): small, and good at textures.

``weights`` names an ``.npz`` of arrays by layer (``conv1.w``, ``fire2__conv1x1_1.w``, ...) in Caffe's conventions:
blue-green-red, 0..255 minus the ImageNet mean, pooling with ceiling.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from . import Encoder
from ._files import arrays

FIRES = {2: (96, 16, 64), 3: (128, 16, 64), 4: (128, 32, 128), 5: (256, 32, 128)}  # number -> inputs, squeeze, expand
FIRES |= {6: (256, 48, 192), 7: (384, 48, 192), 8: (384, 64, 256), 9: (512, 64, 256)}
POOLED_BEFORE = (2, 5, 9)  # a 3x3 / 2 max pooling comes before these
MEAN = (104.0, 117.0, 123.0)  # of ImageNet: blue, green, red
SHOWN = (2, 4, 6, 9)  # whose maps are shown, after the first convolution


@dataclass(frozen=True)
class Config:
    """Where the weights are."""

    weights: str = "random"  # the path of an .npz, or "random" for a trial; the constructor never downloads

    def build(self) -> "SqueezeNet":
        return SqueezeNet(self)


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


class Trunk(nn.Module):
    """The first convolution and the fire blocks up to ``last``."""

    def __init__(self, last: int):
        super().__init__()
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1) / 255)
        self.first = nn.Conv2d(3, 96, 7, 2)
        self.fires = nn.ModuleDict({str(n): Fire(*FIRES[n]) for n in range(2, last + 1)})

    def stages(self, pictures: Tensor) -> Iterator[tuple[int, Tensor]]:
        """(B, 3, H, W) in 0..1 -> the number of each layer, 1 for the first, and its map."""
        x = self.first(pictures.flip(1).sub(self.mean).mul(255)).relu()
        yield 1, x
        for number, fire in self.fires.items():
            if int(number) in POOLED_BEFORE:
                x = nn.functional.max_pool2d(x, 3, 2, ceil_mode=True)
            x = fire(x)
            yield int(number), x

    def read(self, path: Path) -> None:
        """Take the weights of an ``.npz``. Raises ConfigError where it does not hold them."""
        with arrays(path) as held, torch.no_grad():
            layers = {"conv1": self.first}
            for number, fire in self.fires.items():
                assert isinstance(fire, Fire)
                layers[f"fire{number}__conv1x1_1"] = fire.squeeze
                layers[f"fire{number}__conv1x1_2"] = fire.small
                layers[f"fire{number}__conv3x3_2"] = fire.large
            for name, layer in layers.items():
                if f"{name}.w" not in held or held[f"{name}.w"].shape != tuple(layer.weight.shape):
                    raise ConfigError(
                        f"{path} does not hold SqueezeNet 1.0: '{name}.w' is missing or of another shape."
                    )
                layer.weight.copy_(torch.from_numpy(held[f"{name}.w"]))
                assert layer.bias is not None
                layer.bias.copy_(torch.from_numpy(held[f"{name}.b"]))


class SqueezeNet(Encoder):
    """Maps after the first convolution and four of the fires; the mean of the last one is the vector (D = 512)."""

    layers = ("conv1", *(f"fire{number}" for number in SHOWN))
    smallest = 21

    def __init__(self, config: Config):
        super().__init__()
        self.name = "SqueezeNet, random weights" if config.weights == "random" else "SqueezeNet (ImageNet)"
        self.trunk = Trunk(SHOWN[-1])
        if config.weights != "random":
            self.trunk.read(Path(config.weights))
        self.requires_grad_(False).eval()

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        return tuple(x for number, x in self.trunk.stages(pictures) if number in (1, *SHOWN))
