"""VGG-19 trained on ImageNet (Simonyan & Zisserman 2015): the ground of style distances since Gatys et al. 2016.

``weights`` names a ``.pt``, ``.pth`` or ``.safetensors`` state dict with the field's usual names
(``features.0.weight`` ...), of any VGG-19 without batch normalization; the classifier is left out.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from . import Encoder
from ._files import state

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # channels and convolutions between poolings


@dataclass(frozen=True)
class Config:
    """Where the weights are."""

    weights: str = "random"  # the path of a state dict, or "random" for a trial; the constructor never downloads

    def build(self) -> "Vgg":
        return Vgg(self)


class Vgg(Encoder):
    """The first convolution of each stage, before its ReLU, and what the last stage makes of it (D = 512) as maps."""

    layers = (*(f"conv{number}_1" for number in range(1, 6)), "pool5")
    smallest = 2 ** len(STAGES)

    def __init__(self, config: Config):
        super().__init__()
        self.name = "VGG-19, random weights" if config.weights == "random" else "VGG-19 (ImageNet)"
        steps: list[nn.Module] = []
        self.starts = []  # the places of the first convolutions
        channels = 3
        for width, count in STAGES:
            self.starts.append(len(steps))
            for _ in range(count):
                steps += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            steps.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*steps)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))
        if config.weights != "random":
            self._read(Path(config.weights))
        self.requires_grad_(False).eval()

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        x, found = (pictures - self.mean) / self.std, []
        for place, step in enumerate(self.features):
            x = step(x)
            if place in self.starts:
                found.append(x)
        return *found, x

    def _read(self, path: Path) -> None:
        if not path.is_file():
            raise ConfigError(f"weights: there is no file {path}. Give 'random' or the path of a state dict.")
        saved = state(path)
        wanted = self.features.state_dict()
        found = {name: saved[f"features.{name}"] for name in wanted if f"features.{name}" in saved}
        if any(name not in found or found[name].shape != value.shape for name, value in wanted.items()):
            raise ConfigError(f"{path} does not hold VGG-19 by its usual names, features.0.weight and so on.")
        self.features.load_state_dict(found)
