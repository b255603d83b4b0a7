"""Teach a small bridge to redraw as a large one does (Hinton et al. 2015), for cameras that do not wait.

``start`` names the teacher's run or arm. It redraws ``pictures`` of the side it redraws once; the student then learns

    L = |student(x) - teacher(x)| + |blur(student(x)) - blur(teacher(x))|

from these pairs, mirrored in half of all draws: the first term minds places, the second colours over larger ones, which
few wrong pixels do not outvote. What cannot be foreseen, as grain, such terms blur; an ``encoder`` adds

    mean over its layers f of (|f(s) - f(t)|^2 + |mean f(s) - mean f(t)|^2 + |std f(s) - std f(t)|^2) / |f(t)|^2

for the student's picture s and the teacher's t, of which the last two ask for as much texture, wherever it lies.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ..bridges import Bridge, sample, student
from ..data import Domain, Spec
from ..encoders import Encoder, tell_random
from ..errors import ConfigError
from . import Cost, Method
from .translation import Pictures

COARSE = 8  # side in pixels of what is blurred together
CHUNK = 8  # pictures the teacher redraws at once


@dataclass(frozen=True)
class Config:
    """Who learns, and of how much."""

    demonstrated: ClassVar[bool] = False  # pictures are all it learns from
    taught: ClassVar[bool] = True  # by the bridge of the run that it begins from

    bridge: Any = field(default_factory=student.Config)  # what learns; it must have a ``change`` to train
    to: Literal["target", "source"] = "target"  # whose look the teacher gives
    pictures: int = 400  # that the teacher redraws; more are more diverse, and take the teacher's time
    batch: int = 4  # pairs a step; raising it makes steps steadier and slower
    encoder: Any = None  # what sees whether textures are alike, which places alone are blind to; none is faster

    def __post_init__(self) -> None:
        if self.batch < 1 or self.pictures < 1:
            raise ConfigError("needs batch and pictures of 1 or more.")

    def part_for(self, spec: Spec) -> Bridge:
        bridge: Bridge = self.bridge.build()
        return bridge

    def rehearse(self, source: Domain, target: Domain, start: nn.Module | None) -> None:
        if start is None:
            raise ConfigError(
                'A student needs a teacher: start = "ARM", an arm or the folder of a run that left a bridge.'
            )
        if not callable(getattr(self.part_for(target.spec), "change", None)):
            raise ConfigError("[method.bridge] is no student: it has no change to train. Name student.")
        if self.encoder is not None:
            tell_random(self.encoder.build(), "distillation")

    def build(self, source: Domain, target: Domain, seed: int, start: nn.Module | None = None) -> "Distillation":
        return Distillation(self, source, target, seed, start)


class Distillation(Method):
    """Pairs of pictures, before and after the teacher."""

    def __init__(self, config: Config, source: Domain, target: Domain, seed: int, start: nn.Module | None):
        super().__init__()
        if not isinstance(start, Bridge):
            raise ConfigError(f"start holds {type(start).__name__}, which redraws nothing. Name a run of a bridge.")
        self.config, self.seed = config, seed
        self.student: Any = config.part_for(target.spec)
        ours = source if config.to == "target" else target
        self.before = sample(ours.unlabelled, config.pictures)
        self.after = _taught(start, self.before)
        self.eyes: list[Encoder] = [] if config.encoder is None else [config.encoder.build()]  # no part of it

    @property
    def part(self) -> nn.Module:
        bridge: nn.Module = self.student
        return bridge

    def batches(self, start: int) -> Iterator[Pictures]:
        step = start
        while True:
            random = np.random.default_rng((self.seed, 50, self.rank, step))
            chosen = torch.from_numpy(random.integers(len(self.before), size=self.config.batch))
            pair = [side[chosen].float() / 127.5 - 1 for side in (self.before, self.after)]
            mirrored = torch.from_numpy(random.random(len(chosen)) < 0.5)[:, None, None, None]
            yield Pictures(*(torch.where(mirrored, side.flip(3), side) for side in pair))
            step += 1

    def cost(self, batch: Any, progress: float) -> Cost:
        drawn = self.student.change(batch.ours)
        near, far = ((a - b).abs().mean() for a, b in ((drawn, batch.theirs), (_coarse(drawn), _coarse(batch.theirs))))
        seen = {"textures": _apart(self.eyes[0].to(drawn.device), drawn, batch.theirs)} if self.eyes else {}
        return Cost({"places": near, "colours": far, **seen})


@torch.no_grad()
def _taught(teacher: Bridge, pictures: Tensor) -> Tensor:
    """(N, 3, H, W) uint8 as the teacher redraws them, each as a clip of its own seed 0."""
    teacher.eval()
    teacher.clip(0)
    parts = [teacher(pictures[start : start + CHUNK, None])[:, 0] for start in range(0, len(pictures), CHUNK)]
    return torch.cat(parts)


def _apart(eye: Encoder, drawn: Tensor, wanted: Tensor) -> Tensor:
    """How far the maps of an encoder lie apart, place by place and in their statistics, relative to the wanted ones."""
    layers = []
    for ours, theirs in zip(eye((drawn.clamp(-1, 1) + 1) / 2), eye((wanted + 1) / 2)):
        places = (ours - theirs).square().mean()
        means = (ours.mean((2, 3)) - theirs.mean((2, 3))).square().mean()
        spreads = (ours.std((2, 3)) - theirs.std((2, 3))).square().mean()
        layers.append((places + means + spreads) / theirs.square().mean().clamp(min=1e-8))
    return torch.stack(layers).mean()


def _coarse(pictures: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(pictures, COARSE, ceil_mode=True)
