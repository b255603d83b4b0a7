"""Whether the same things are at the same places: one less the mean overlap of classes (Fu et al. 2019; CyCADA).

    1 - mean over classes c of |A_c and B_c| / |A_c or B_c|

of the places A_c that a segmentation network gives to c before, and B_c after. Of classes that cover less than a
hundredth of both pictures nothing is asked: they are mostly specks that the network is unsure of.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..estimators import CLASSES, Estimator
from . import Limited, Look, Validator

LEAST = 0.01  # share of a picture that a class covers, before or after, for it to count


@dataclass(frozen=True)
class Config(Limited):
    """Which network."""

    model: str  # of transformers, for semantic segmentation: a folder that save_pretrained wrote, or a hub id

    def build(self) -> "Segmentation":
        return Segmentation(self.model)


class Segmentation(Validator):
    """From 0 to 1."""

    by_encoder = False

    def __init__(self, model: str):
        super().__init__()
        self.estimator = Estimator(CLASSES, model, "validator 'segmentation'")

    def forward(self, before: Look, after: Look) -> Tensor:
        a, b = (self.estimator.seen(look.pictures) for look in (before, after))
        return 1 - overlap(a, b, self.estimator.classes)


def overlap(a: Tensor, b: Tensor, classes: int) -> Tensor:
    """The mean intersection over union of the classes of pictures (N, H, W) and (N, H, W): (N,)."""
    pairs = (a * classes + b).flatten(1)  # of a class before and one after, at each place
    table = torch.stack([each.bincount(minlength=classes**2) for each in pairs]).view(-1, classes, classes)
    ours, theirs, both = table.sum(2), table.sum(1), table.diagonal(dim1=1, dim2=2)
    counts = torch.maximum(ours, theirs) >= LEAST * pairs.shape[1]
    shares = both / (ours + theirs - both).clamp(min=1)
    return (shares * counts).sum(1) / counts.sum(1).clamp(min=1)
