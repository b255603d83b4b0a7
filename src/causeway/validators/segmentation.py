"""Whether the same things are at the same places: one less the mean overlap of classes (Fu et al. 2019; CyCADA).

    1 - mean over classes c of |A_c and B_c| / |A_c or B_c|

of the places A_c that a segmentation network gives to c before, and B_c after. Of classes that cover less than a
hundredth of both pictures nothing is asked: they are mostly specks that the network is unsure of.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..estimators import CLASSES, Estimator
from . import Look, Validator

LEAST = 0.01  # share of a picture that a class covers, before or after, for it to count


@dataclass(frozen=True)
class Config:
    """Which network."""

    model: str  # of transformers, for semantic segmentation: a folder that save_pretrained wrote, or a hub id

    def build(self) -> "Segmentation":
        return Segmentation(self.model)


class Segmentation(Validator):
    """From 0 to 1."""

    def __init__(self, model: str):
        super().__init__()
        self.estimator = Estimator(CLASSES, model, "validator 'segmentation'")

    def forward(self, before: Look, after: Look) -> Tensor:
        a, b = (self.estimator.scores(look.pictures).argmax(1) for look in (before, after))
        return 1 - overlap(a, b, self.estimator.classes)


def overlap(a: Tensor, b: Tensor, classes: int) -> Tensor:
    """The mean intersection over union of the classes of pictures (N, H, W) and (N, H, W): (N,)."""
    ours, theirs = (torch.nn.functional.one_hot(each, classes).flatten(1, 2).bool() for each in (a, b))
    both, either = (ours & theirs).sum(1), (ours | theirs).sum(1)
    counts = torch.maximum(ours.sum(1), theirs.sum(1)) >= LEAST * ours.shape[1]
    shares = both / either.clamp(min=1)
    return (shares * counts).sum(1) / counts.sum(1).clamp(min=1)
