"""CUT (Park et al. 2020): one generator, and patches that must stay tellable from the other patches of their picture.

    L = fool(D, G(a)) + keep NCE(a, G(a)) + keep NCE(b, G(b))

where NCE is the cross entropy of finding, by the generator's own features, the patch of the picture that was given from
which a patch of the drawn one came, among ``patches`` of that picture (temperature .07).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from . import Bridge, redrawn
from ._networks import Generator, Patches

TEMPERATURE = 0.07
PROJECTED = 64  # numbers of a patch's feature


@dataclass(frozen=True)
class Config:
    """Sizes and weights."""

    width: int = 32  # channels of the generator's first layer (published 64); halving it is four times faster
    blocks: int = 6  # residual blocks (published 9); raising it changes more of the picture
    keep: float = 1.0  # weight of patches staying what they are; raising it keeps more of the content
    patches: int = 128  # of a picture and layer that are told apart (published 256)

    def __post_init__(self) -> None:
        if self.width < 1 or self.blocks < 1 or self.patches < 2 or self.keep < 0:
            raise ConfigError("needs width and blocks of 1 or more, patches of 2 or more, and keep of 0 or more.")

    def build(self) -> "Cut":
        return Cut(self)


class Cut(Bridge):
    """The generator is all that is used; judge and projections are of use in training alone."""

    learned = True

    def __init__(self, config: Config):
        super().__init__()
        self.config: Config = config
        self.generator = Generator(config.width, config.blocks)
        self.judge = Patches(2 * config.width)
        sizes = (3, config.width, 2 * config.width, 4 * config.width, 4 * config.width)
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Linear(size, PROJECTED), nn.ReLU(), nn.Linear(PROJECTED, PROJECTED)) for size in sizes
        )

    def forward(self, images: Tensor) -> Tensor:
        return redrawn(self.generator, images)

    def cost(self, ours: Tensor, theirs: Tensor, progress: float) -> Mapping[str, Tensor]:
        drawn, same = self.generator(ours), self.generator(theirs)
        return {
            "fool": self.judge.fooled(drawn),
            "keep": self.config.keep * self._contrast(ours, drawn),
            "same": self.config.keep * self._contrast(theirs, same),
            "judge": self.judge.mistaken(theirs, drawn),
        }

    def _contrast(self, before: Tensor, after: Tensor) -> Tensor:
        """The mean over layers of the cross entropy of finding each patch's own place."""
        losses = []
        for project, old, new in zip(self.projections, self.generator.maps(before), self.generator.maps(after)):
            places = torch.randperm(old.shape[2] * old.shape[3], device=old.device)[: self.config.patches]
            keys, queries = (
                nn.functional.normalize(project(seen.flatten(2)[:, :, places].transpose(1, 2)), dim=2)
                for seen in (old, new)
            )
            alike = queries @ keys.detach().transpose(1, 2) / TEMPERATURE  # (B, P, P)
            own = torch.arange(len(places), device=old.device).expand(len(alike), -1)
            losses.append(nn.functional.cross_entropy(alike.flatten(0, 1), own.flatten()))
        return torch.stack(losses).mean()
