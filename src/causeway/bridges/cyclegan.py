"""CycleGAN (Zhu et al. 2017): two generators, each of which must undo the other, and a judge of patches on each side.

    L = fool(D_theirs, G(a)) + fool(D_ours, F(b))
        + cycle (|F(G(a)) - a| + |G(F(b)) - b|) + same (|G(b) - b| + |F(a) - a|)

with the judges' own least-squares losses beside it. The players learn at once, each from its own gradients.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..errors import ConfigError
from . import Bridge, redrawn
from ._networks import Generator, Patches


@dataclass(frozen=True)
class Config:
    """Sizes and weights."""

    width: int = 32  # channels of the generators' first layer (published 64); halving it is four times faster
    blocks: int = 6  # residual blocks (published 6 for small pictures); raising it changes more of the picture
    cycle: float = 10.0  # weight of undoing; raising it keeps more of the content
    same: float = 5.0  # weight of leaving pictures that look right as they are; raising it keeps colours

    def __post_init__(self) -> None:
        if self.width < 1 or self.blocks < 1 or self.cycle < 0 or self.same < 0:
            raise ConfigError("needs width and blocks of 1 or more, and no negative weight.")

    def build(self) -> "CycleGan":
        return CycleGan(self)


class CycleGan(Bridge):
    """What is used is ``there``; the way back and the judges are of use in training alone."""

    learned = True

    def __init__(self, config: Config):
        super().__init__()
        self.config: Config = config
        self.there, self.back = (Generator(config.width, config.blocks) for _ in range(2))
        self.judge_theirs, self.judge_ours = (Patches(2 * config.width) for _ in range(2))

    def forward(self, images: Tensor) -> Tensor:
        return redrawn(self.there, images)

    def cost(self, ours: Tensor, theirs: Tensor, progress: float) -> Mapping[str, Tensor]:
        drawn, undrawn = self.there(ours), self.back(theirs)
        cycle = (self.back(drawn) - ours).abs().mean() + (self.there(undrawn) - theirs).abs().mean()
        same = (self.there(theirs) - theirs).abs().mean() + (self.back(ours) - ours).abs().mean()
        return {
            "fool": self.judge_theirs.fooled(drawn) + self.judge_ours.fooled(undrawn),
            "cycle": self.config.cycle * cycle,
            "same": self.config.same * same,
            "judge": self.judge_theirs.mistaken(theirs, drawn) + self.judge_ours.mistaken(ours, undrawn),
        }
