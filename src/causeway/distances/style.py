"""The style difference of Sim2Real Diffusion: how far Gram matrices of shallow layers lie apart (Gatys et al. 2016).

    SD(x, y) = sum over layers l of mean((G_l(x) - G_l(y))^2),  G_l = F F' / (C H W)

on pictures of 256 x 256, averaged over all pairs of the two sets: over the frames, where the second is one style image
as in that paper. Published on VGG-19 with conv1_1, conv2_1 and conv3_1: give the encoder ``vgg`` its weights for their
numbers; the first three layers of other encoders measure the same idea in other units.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from . import Distance, Look, Products

SIDE = 256  # of the pictures
DEPTH = 3  # layers, the shallow ones: colour and texture


@dataclass(frozen=True)
class Config:
    """It has no settings."""

    def build(self) -> "Style":
        return Style()


class Style(Distance):
    """Rows are Gram matrices, weighed so that a squared distance of rows is the sum over layers."""

    fewest = 1

    def rows(self, look: Look) -> Tensor:
        return torch.cat([upper(gram(seen)) / seen.shape[1] for seen in look.maps_at(SIDE)[:DEPTH]], 1)

    def between(self, own: Products, other: Products, across: Products) -> float:
        return float(own.diagonal().mean() + other.diagonal().mean() - 2 * across.mean())


def gram(seen: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, C, C), the products of channels over C * h * w."""
    flat = seen.flatten(2)
    return flat @ flat.transpose(1, 2) / (seen.shape[1] * flat.shape[2])


def upper(grams: Tensor) -> Tensor:
    """(B, C, C) -> (B, C (C + 1) / 2), with the same inner products: what stands twice stands once, times sqrt(2)."""
    channels = grams.shape[1]
    row, column = torch.triu_indices(channels, channels)
    return grams[:, row, column] * torch.where(row == column, 1.0, 2**0.5)
