"""ResNet-18 (He et al. 2016) with group normalization, from scratch or from a checkpoint of the same names.

``weights`` names a ``.pt`` or ``.safetensors`` state dict with the field's usual names (``layer1.0.conv1.weight``);
its batch normalizations become fixed scales and shifts of the convolutions, its classifier is left out.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..data import Spec
from ..errors import ConfigError
from ..heads import laplace
from . import Sighted, floats
from ._keypoints import Keypoints, refuse_negative

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Config:
    """Size and start of the network."""

    weights: str = "random"  # "random", or the path of a state dict; the constructor never downloads
    width: int = 64  # channels of the first stage (ResNet-18 has 64); halving it is four times faster
    keypoints: int = 0  # 0 averages on a grid; K > 0 finds K points by spatial softmax instead (Finn et al. 2016)
    bottleneck: int = 64  # D, size of the feature where the domains meet
    head: Any = field(default_factory=laplace.Config)  # what turns features into actions
    dropout: float = 0.1  # share of the embedding dropped in training

    def __post_init__(self) -> None:
        if self.weights != "random" and self.width != 64:
            raise ConfigError(f"width must be 64 to read weights, not {self.width}.")
        refuse_negative(self.keypoints)

    def build(self, spec: Spec) -> "ResNet":
        return ResNet(self, spec)


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, normal: type[nn.Module]):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = normal(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = normal(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), normal(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu_()
        z: Tensor = self.bn2(self.conv2(y)) + self.downsample(x)
        return z.relu_()


class Groups(nn.GroupNorm):
    """Group normalization in groups of 8 channels: no statistics shared between the domains of a batch."""

    def __init__(self, channels: int):
        super().__init__(max(1, channels // 8), channels)


class Fixed(nn.Module):
    """Batch normalization with the statistics it was trained with, for good."""

    def __init__(self, channels: int):
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)  # type: ignore[arg-type]


class ResNet(Sighted):
    """ResNet-18 eyes; the last stage is averaged on a 3x4 grid, or read as keypoints."""

    def __init__(self, config: Config, spec: Spec):
        w = config.width
        embedding = (2 * config.keypoints or 8 * w * 12) * spec.cameras
        super().__init__(spec, embedding, config.bottleneck, config.head, config.dropout)
        self.config = config
        normal = Groups if config.weights == "random" else Fixed
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))
        stages = [(w, w, 1), (w, 2 * w, 2), (2 * w, 4 * w, 2), (4 * w, 8 * w, 2)]
        self.body = nn.ModuleDict({"conv1": nn.Conv2d(3, w, 7, 2, 3, bias=False), "bn1": normal(w)})
        for number, (inputs, outputs, stride) in enumerate(stages, 1):
            blocks = (Block(inputs, outputs, stride, normal), Block(outputs, outputs, 1, normal))
            self.body[f"layer{number}"] = nn.Sequential(*blocks)
        self.points = Keypoints(8 * w, config.keypoints) if config.keypoints else None

    def embed(self, images: Tensor, points: Tensor | None = None) -> Tensor:
        x = self.body["bn1"](self.body["conv1"]((floats(images) - self.mean) / self.std)).relu_()
        x = nn.functional.max_pool2d(x, 3, 2, 1)
        for number in range(1, 5):
            x = self.body[f"layer{number}"](x)
        x = nn.functional.adaptive_avg_pool2d(x, (3, 4)) if self.points is None else self.points(x)
        return x.reshape(len(images), -1)

    def begin(self) -> None:
        if self.config.weights == "random":
            return
        path = Path(self.config.weights)
        if not path.is_file():
            raise ConfigError(f"weights: there is no file {path}. Give 'random' or the path of a state dict.")
        known = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
        wanted = {k: v for k, v in known.items() if not k.startswith("fc.") and not k.endswith("num_batches_tracked")}
        try:
            self.body.load_state_dict(wanted)
        except RuntimeError as error:
            raise ConfigError(f"{path} does not hold a ResNet-18: {error}") from None
