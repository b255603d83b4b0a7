"""Points in a picture, read off the maps of a network (Levine et al. 2016, Finn et al. 2016)."""

import torch
from torch import Tensor, nn

from ..errors import ConfigError


def refuse_negative(count: int) -> None:
    """There cannot be less than no keypoints."""
    if count < 0:
        raise ConfigError(f"keypoints must be 0 or more, not {count}.")


class Keypoints(nn.Module):
    """As many points as asked for, each where a map of its own, mixed from all channels, is bright: (B, K, 2)."""

    def __init__(self, channels: int, count: int):
        super().__init__()
        self.maps = nn.Conv2d(channels, count, 1)

    def forward(self, x: Tensor) -> Tensor:
        return spatial_softmax(self.maps(x))


def spatial_softmax(maps: Tensor) -> Tensor:
    """(B, K, H, W) -> (B, K, 2): where each map is brightest on average, x and y in -1..1."""
    height, width = maps.shape[2:]
    share = maps.flatten(2).softmax(2).reshape(maps.shape)
    x = (share.sum(2) * torch.linspace(-1, 1, width, device=maps.device)).sum(2)
    y = (share.sum(3) * torch.linspace(-1, 1, height, device=maps.device)).sum(2)
    return torch.stack([x, y], 2)
