"""Frozen eyes that a test can see through: a few pixels of the top row, the same ones in a mirror."""

from dataclasses import dataclass

import torch
from torch import Tensor

from causeway.data import Spec
from causeway.heads import laplace
from causeway.policies import Sighted

COLUMNS = [0, 8, 16, 31, 39, 47]


@dataclass(frozen=True)
class Config:
    """Nothing to set."""

    def build(self, spec: Spec) -> "Pixels":
        return Pixels(spec)


class Pixels(Sighted):
    """Whole numbers up to 255 stay exact in the half precision of features on disk."""

    frozen = True
    begun = 0

    def __init__(self, spec: Spec):
        super().__init__(spec, len(COLUMNS), 8, laplace.Config(hidden=0), 0.0)
        self.eye = torch.nn.Parameter(torch.ones(()))

    def begin(self) -> None:
        self.begun += 1

    def embed(self, images: Tensor, points: Tensor | None = None) -> Tensor:
        return self.eye * images[:, 0, 0, 0, COLUMNS].float()
