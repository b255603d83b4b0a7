"""Whether edges are where they were: one less the correlation of the two pictures' edges.

Edges are the strength of the grey picture's gradient, blurred to the ``tolerance`` with which they may move. A change
of all colours, of light or of contrast leaves them alone.
"""

from dataclasses import dataclass

from kornia.filters import gaussian_blur2d
from torch import Tensor, nn

from ..errors import ConfigError
from . import Limited, Look, Validator


@dataclass(frozen=True)
class Config(Limited):
    """How exact places are taken."""

    tolerance: float = 0.01  # blur, as a share of the picture's height; raising it forgives edges that move

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.tolerance <= 0.1:
            raise ConfigError(f"tolerance is a share above 0 and at most 0.1, not {self.tolerance}.")

    def build(self) -> "Edges":
        return Edges(self.tolerance)


class Edges(Validator):
    """``1 - corr(edges(before), edges(after))``, from 0 to 2; 1 where only one has edges, and 0 where neither has."""

    version = 2
    by_encoder = False

    def __init__(self, tolerance: float):
        super().__init__()
        self.tolerance = tolerance

    def forward(self, before: Look, after: Look) -> Tensor:
        a, b = (self._edges(pictures) for pictures in (before.pictures, after.pictures))
        spread = (a.square().mean(1) * b.square().mean(1)).sqrt()
        empty = (a.square().mean(1) < 1e-12) & (b.square().mean(1) < 1e-12)
        return (1 - (a * b).mean(1) / spread.clamp(min=1e-12)).masked_fill(empty, 0.0)

    def _edges(self, pictures: Tensor) -> Tensor:
        """(B, H * W) of mean 0."""
        blur = max(0.5, self.tolerance * pictures.shape[2])
        side = 2 * int(3 * blur + 0.5) + 1
        smooth = gaussian_blur2d(pictures.mean(1, keepdim=True), (side, side), (blur, blur))
        across = nn.functional.pad(smooth.diff(dim=3), (0, 1))
        down = nn.functional.pad(smooth.diff(dim=2), (0, 0, 0, 1))
        strength = gaussian_blur2d((across.square() + down.square()).sqrt(), (side, side), (blur, blur)).flatten(1)
        centred: Tensor = strength - strength.mean(1, keepdim=True)
        return centred
