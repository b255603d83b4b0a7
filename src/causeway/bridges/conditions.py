"""One picture under other conditions: weather, time of day and season by simple optics, with nothing to learn.

    fog     x' = x t + .75 (1 - t),  t = exp(-2.5 strength near),  near from 1 at the horizon to .15 at the lower edge
    rain    darker and greyer, x' = .75 x + .1, and bright streaks over it
    snow    what is light in the lower half goes to white, and flakes over all
    night   x' = .35 x^1.6 towards blue;  dusk and dawn  towards orange and rose;  noon  harder and warmer
    autumn, winter, spring, summer   greens towards brown, grey, light green and deep green

How near things are is not known: the horizon is taken to lie a third down, as it does for a driving camera. They are no
photographs of weather, and make pictures diverse, not real; a bridge that was learned can go before or after.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ConfigError, nearest
from . import Bridge, chance, quantized

Look = Callable[[Tensor, float, torch.Generator], Tensor]  # (B, 3, H, W) in 0..1, strength, chance -> the same
HORIZON = 1 / 3  # of the height, from the top
GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Config:
    """Which condition, and how much of it."""

    condition: str = "fog"  # of fog, rain, snow, night, dusk, dawn, noon, the four seasons; several as rain+night
    strength: float = 1.0  # 0 changes nothing; raising it hides more

    def __post_init__(self) -> None:
        for each in self.condition.split("+"):
            if each not in LOOKS:
                raise ConfigError(f"there is no condition '{each}'. {nearest(each, LOOKS)}")
        if self.strength < 0:
            raise ConfigError(f"strength must not be negative, but it is {self.strength}.")

    def build(self) -> "Conditions":
        return Conditions(self)


class Conditions(Bridge):
    """Streaks and flakes are drawn anew for each picture, by the seed of its clip."""

    def __init__(self, config: Config):
        super().__init__()
        self.config: Config = config
        self.looks = config.condition.split("+")
        self._seed = 0

    def conditions(self) -> tuple[str, ...]:
        return tuple(LOOKS)

    def vary(self, *conditions: str) -> None:
        self.looks = list(conditions)

    def clip(self, seed: int) -> None:
        self._seed = seed

    def forward(self, images: Tensor) -> Tensor:
        drawn = []
        for image in images.flatten(0, 1).cpu():  # each alone: what falls does not depend on what else is in the batch
            drops = chance(self._seed, image)
            x = image[None].float() / 255
            for each in self.looks:
                x = LOOKS[each](x, self.config.strength, drops).clamp(0, 1)
            drawn.append(x[0])
        return quantized(torch.stack(drawn)).view(images.shape).to(images.device)


def fog(x: Tensor, strength: float, chance: torch.Generator) -> Tensor:
    rows = torch.linspace(0, 1, x.shape[2])
    near = (1 - (rows - HORIZON).clamp(min=0) / (1 - HORIZON) * 0.85).view(1, 1, -1, 1)
    clear = torch.exp(-2.5 * strength * near)
    return x * clear + 0.75 * (1 - clear)


def rain(x: Tensor, strength: float, chance: torch.Generator) -> Tensor:
    dull = _towards(x, _grey(x), 0.5 * strength) * (1 - 0.25 * strength) + 0.1 * strength
    height, width = x.shape[2:]
    drops = (torch.rand(1, 1, height, width, generator=chance) < 0.006 * strength).float()
    streaks = torch.nn.functional.max_pool2d(drops, (max(3, height // 12) | 1, 1), 1, (max(3, height // 12) // 2, 0))
    return dull + 0.25 * streaks[:, :, :height]


def snow(x: Tensor, strength: float, chance: torch.Generator) -> Tensor:
    rows = torch.linspace(0, 1, x.shape[2]).view(1, 1, -1, 1)
    ground = ((rows - HORIZON) * 8).clamp(0, 1) * (_grey(x) * 1.6).clamp(0, 1)
    white = _towards(x, torch.full_like(x, 0.95), (0.7 * strength * ground).clamp(0, 1))
    flakes = (torch.rand(1, 1, *x.shape[2:], generator=chance) < 0.004 * strength).float()
    return white + 0.5 * torch.nn.functional.max_pool2d(flakes, 3, 1, 1)


def night(x: Tensor, strength: float, chance: torch.Generator) -> Tensor:
    dark = 0.35 * x**1.6 * torch.tensor([0.8, 0.9, 1.25]).view(1, 3, 1, 1)
    return _towards(x, dark, strength)


def autumn(x: Tensor, strength: float, chance: torch.Generator) -> Tensor:
    return _greens(x, strength, (0.62, 0.38, 0.12))


def winter(x: Tensor, strength: float, chance: torch.Generator) -> Tensor:
    return _towards(_greens(x, strength, (0.6, 0.6, 0.6)), _grey(x) + 0.08, 0.4 * strength)


def summer(x: Tensor, strength: float, chance: torch.Generator) -> Tensor:
    return _greens(x, strength, (0.16, 0.42, 0.1))


def spring(x: Tensor, strength: float, chance: torch.Generator) -> Tensor:
    return _greens(x, strength, (0.45, 0.85, 0.3))


def _lit(colour: tuple[float, float, float], contrast: float) -> Look:
    def look(x: Tensor, strength: float, chance: torch.Generator) -> Tensor:
        lit = ((x - 0.5) * contrast + 0.5) * torch.tensor(colour).view(1, 3, 1, 1)
        return _towards(x, lit, strength)

    return look


def _greens(x: Tensor, strength: float, colour: tuple[float, float, float]) -> Tensor:
    """What is green, as far as it is, in another colour of the same brightness."""
    green = ((x[:, 1:2] - torch.maximum(x[:, 0:1], x[:, 2:3])) * 4).clamp(0, 1)
    other = _grey(x) * torch.tensor(colour).view(1, 3, 1, 1) / 0.5
    return _towards(x, other, (strength * green).clamp(0, 1))


def _grey(x: Tensor) -> Tensor:
    return (x * torch.tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _towards(x: Tensor, other: Tensor, share: float | Tensor) -> Tensor:
    return x + (other - x) * share


LOOKS: dict[str, Look] = {
    "fog": fog,
    "rain": rain,
    "snow": snow,
    "night": night,
    "dusk": _lit((1.0, 0.72, 0.5), 0.85),
    "dawn": _lit((1.0, 0.82, 0.86), 0.9),
    "noon": _lit((1.05, 1.02, 0.92), 1.3),
    "autumn": autumn,
    "winter": winter,
    "spring": spring,
    "summer": summer,
}
