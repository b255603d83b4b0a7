"""Whether the parts of a picture relate as they did: the distance of self-similarities (Tumanyan et al. 2022).

    mean over pairs of places i, j of |S_ij(before) - S_ij(after)|,  S_ij = cos(f_i, f_j)

for the features f of an encoder's deepest map. What a thing looks like may change; which places look alike may not.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from . import Limited, Look, Validator

PLACES = 256  # of a map, at most


@dataclass(frozen=True)
class Config(Limited):
    """What sees the parts."""

    def build(self) -> "Structure":
        return Structure()


class Structure(Validator):
    """From 0 to 2."""

    def forward(self, before: Look, after: Look) -> Tensor:
        a, b = (self._alike(look.maps[-1]) for look in (before, after))
        return (a - b).abs().mean((1, 2))

    def _alike(self, seen: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, P, P)"""
        while seen.shape[2] * seen.shape[3] > PLACES:
            seen = nn.functional.avg_pool2d(seen, 2)
        places = nn.functional.normalize(seen.flatten(2), dim=1)
        return places.transpose(1, 2) @ places
