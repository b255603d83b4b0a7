"""Learn to redraw pictures of one domain in the look of the other: the run leaves a Bridge.

Where a bridge has weights to train, each step draws ``batch`` pictures of either side, with nobody's actions, and the
bridge says what they cost; one that is solved in closed form is done once it is calibrated.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..bridges import Bridge, colors
from ..data import Domain, Moments, Spec
from ..errors import ConfigError, DataError
from . import Cost, Method

KEPT = 4096  # pictures of which it is kept what a frozen part saw
FEWEST = 2  # pictures of a side that there is something to learn of


@dataclass(frozen=True)
class Config:
    """What redraws, and which way."""

    demonstrated: ClassVar[bool] = False  # pictures are all it learns from
    bridge: Any = field(default_factory=colors.Config)  # what redraws
    to: Literal["target", "source"] = "target"  # whose look is given: reality's to learn in, simulation's to drive by
    shots: int | Literal["all"] = "all"  # moments of that side that are known, drawn at random
    batch: int = 8  # pictures of each side a step
    flip: float = 0.5  # share of pictures shown mirrored; 0 where left and right look different
    crop: float = 0.0  # largest share of a side cut off at random; raising it makes more of few pictures

    def __post_init__(self) -> None:
        if self.batch < 1 or (self.shots != "all" and self.shots < 1):
            raise ConfigError("needs batch and shots of 1 or more, or all shots.")
        if not (0 <= self.flip <= 1 and 0 <= self.crop < 1):
            raise ConfigError("flip and crop are shares, flip from 0 to 1 and crop below 1.")

    def part_for(self, spec: Spec) -> Bridge:
        bridge: Bridge = self.bridge.build()
        return bridge

    def rehearse(self, source: Domain, target: Domain, start: nn.Module | None) -> None:
        for side in (source, target):
            if len(side.unlabelled) < FEWEST:
                raise DataError(
                    f"[{side.name}] holds {len(side.unlabelled)} pictures. A bridge learns from {FEWEST} at least."
                )
        theirs = target if self.to == "target" else source
        if self.shots != "all" and self.shots > len(theirs.unlabelled):
            raise DataError(
                f"[{theirs.name}] shots asks for {self.shots} moments, but training has only {len(theirs.unlabelled)}."
            )
        bridge = self.part_for(target.spec)
        bridge.check()
        if start is None:
            bridge.begin()
        else:
            bridge.take(start)

    def build(self, source: Domain, target: Domain, seed: int, start: nn.Module | None = None) -> "Translation":
        return Translation(self, source, target, seed, start)


@dataclass(frozen=True)
class Pictures:
    """A batch of both sides."""

    ours: Tensor  # what the bridge sees of B pictures to be redrawn
    theirs: Tensor  # and of B pictures to look like

    def to(self, device: torch.device | str) -> "Pictures":
        return Pictures(self.ours.to(device, non_blocking=True), self.theirs.to(device, non_blocking=True))


class Translation(Method):
    """Pictures of both sides, and what the bridge makes of them."""

    def __init__(self, config: Config, source: Domain, target: Domain, seed: int, start: nn.Module | None):
        super().__init__()
        self.config, self.seed = config, seed
        sides = source.unlabelled, target.unlabelled
        self.ours, theirs = sides if config.to == "target" else sides[::-1]
        self.theirs = theirs if config.shots == "all" else theirs.select(_some(len(theirs), config.shots, seed))
        self.bridge = config.part_for(target.spec)
        self._kept: dict[tuple[int, int, int, bool], Tensor] = {}  # what a frozen part saw
        if start is None:
            self.bridge.begin()
            self.bridge.calibrate(self.ours, self.theirs)
        else:
            self.bridge.take(start)
        self.bridge.prompt(self.ours)

    @property
    def part(self) -> nn.Module:
        return self.bridge

    def batches(self, start: int) -> Iterator[Pictures]:
        if not any(weight.requires_grad for weight in self.bridge.parameters()):
            return
        step = start
        while True:
            random = np.random.default_rng((self.seed, 40, self.rank, step))
            yield Pictures(self._drawn(self.ours, random), self._drawn(self.theirs, random))
            step += 1

    def cost(self, batch: Any, progress: float) -> Cost:
        return Cost(self.bridge.cost(batch.ours, batch.theirs, progress))

    def _drawn(self, moments: Moments, random: np.random.Generator) -> Tensor:
        """What the bridge sees of pictures of any camera, some mirrored, some cut: (B, ...)."""
        rows = moments.rows[random.integers(len(moments), size=self.config.batch)]
        cameras = random.integers(moments.frames.shape[1], size=self.config.batch)
        mirrored = random.random(len(rows)) < self.config.flip
        if self.config.crop:
            cut = (_cut(_picture(moments, *place), self.config.crop, random) for place in zip(rows, cameras, mirrored))
            return self._seen(torch.stack(list(cut)))
        if not self.bridge.frozen:
            return self._seen(torch.stack([_picture(moments, *place) for place in zip(rows, cameras, mirrored)]))
        keys = [(id(moments.frames), int(r), int(c), bool(m)) for r, c, m in zip(rows, cameras, mirrored)]
        new = {key: _picture(moments, *key[1:]) for key in keys if key not in self._kept}
        if len(self._kept) + len(new) > KEPT:
            self._kept.clear()
            new = {key: _picture(moments, *key[1:]) for key in keys}
        for key, picture in new.items():  # each alone: in another company the last digits would be others
            self._kept[key] = self._seen(picture[None])[0]
        return torch.stack([self._kept[key] for key in keys])

    @torch.no_grad()
    def _seen(self, pictures: Tensor) -> Tensor:
        if self.bridge.frozen:  # its part lies where the method does
            pictures = pictures.to(next(self.bridge.parameters()).device)
        return self.bridge.seen(pictures.float() / 127.5 - 1)


def _picture(moments: Moments, row: int, camera: int, mirrored: bool) -> Tensor:
    """(3, H, W) uint8"""
    picture = torch.from_numpy(np.array(moments.frames[row, camera]))
    return picture.flip(2) if mirrored else picture


def _some(count: int, shots: int, seed: int) -> NDArray[np.int64]:
    """The places of ``shots`` of so many moments, ascending."""
    drawn: NDArray[np.int64] = np.sort(np.random.default_rng((seed, 41)).choice(count, shots, replace=False))
    return drawn


def _cut(picture: Tensor, most: float, random: np.random.Generator) -> Tensor:
    """``picture`` (3, H, W) without up to ``most`` of both sides, at its size again."""
    height, width = picture.shape[1:]
    share = 1 - most * random.random()
    h, w = max(1, round(share * height)), max(1, round(share * width))
    top, left = random.integers(height - h + 1), random.integers(width - w + 1)
    inner = picture[None, :, top : top + h, left : left + w].float()
    grown = nn.functional.interpolate(inner, (height, width), mode="bilinear", align_corners=False)
    return grown[0].round().to(torch.uint8)
