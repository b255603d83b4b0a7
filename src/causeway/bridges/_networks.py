"""Convolutional networks that bridges are made of: a generator that redraws, a discriminator of patches."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


def normal(channels: int) -> nn.Module:
    """Each picture by itself, so that the look of a batch's other pictures does not shine in."""
    return nn.InstanceNorm2d(channels, affine=True)


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False),
            normal(channels),
            nn.ReLU(True),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False),
            normal(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y


class Generator(nn.Module):
    """Down by 4, ``blocks`` residual blocks, up again (Johnson et al. 2016), as a change of the picture it is given.

    (B, 3, H, W) in -1..1 -> the same. H and W of any size: what the strides cut off is grown back.
    """

    def __init__(self, width: int, blocks: int):
        super().__init__()
        self.down = nn.ModuleList()
        self.down.append(self._step(nn.Conv2d(3, width, 7, padding=3, padding_mode="reflect", bias=False), width))
        for deeper in (1, 2):
            step = nn.Conv2d(deeper * width, 2 * deeper * width, 3, 2, 1, padding_mode="reflect", bias=False)
            self.down.append(self._step(step, 2 * deeper * width))
        self.middle = nn.ModuleList(Residual(4 * width) for _ in range(blocks))
        up = []
        for deeper in (2, 1):
            step = nn.Conv2d(2 * deeper * width, deeper * width, 3, padding=1, padding_mode="reflect", bias=False)
            up += [nn.Upsample(scale_factor=2), self._step(step, deeper * width)]
        self.up = nn.Sequential(*up, nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect"))
        nn.init.zeros_(self.up[-1].bias)  # type: ignore[arg-type]

    @staticmethod
    def _step(convolution: nn.Conv2d, channels: int) -> nn.Module:
        return nn.Sequential(convolution, normal(channels), nn.ReLU(True))

    def maps(self, x: Tensor) -> list[Tensor]:
        """What the way down makes of a picture, after each step and the first half of the middle."""
        seen = [x]
        for step in self.down:
            seen.append(step(seen[-1]))
        y = seen[-1]
        for block in self.middle[: len(self.middle) // 2]:
            y = block(y)
        return [*seen, y]

    def forward(self, x: Tensor) -> Tensor:
        y = self.maps(x)[-1]
        for block in self.middle[len(self.middle) // 2 :]:
            y = block(y)
        y = self.up(y)
        if y.shape != x.shape:
            y = nn.functional.interpolate(y, x.shape[2:], mode="bilinear", align_corners=False)
        return y.tanh()


class Patches(nn.Module):
    """Judges patches of a picture (Isola et al. 2017): (B, 3, H, W) in -1..1 -> (B, 1, h, w), high for real ones."""

    def __init__(self, width: int):
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
        for deeper, stride in ((1, 2), (2, 1)):
            step = nn.Conv2d(deeper * width, 2 * deeper * width, 4, stride, 1, bias=False)
            layers += [step, normal(2 * deeper * width), nn.LeakyReLU(0.2, True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(4 * width, 1, 4, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        judged: Tensor = self.layers(pictures)
        return judged

    def fooled(self, drawn: Tensor) -> Tensor:
        """How far a generator is from being taken for real (least squares); its gradient is the generator's alone."""
        with held(self):
            return ((self.forward(drawn) - 1) ** 2).mean()

    def mistaken(self, real: Tensor, drawn: Tensor) -> Tensor:
        """How far the judgement is from 1 for real and 0 for drawn pictures; its gradient is the judge's alone."""
        return ((self.forward(real) - 1) ** 2).mean() / 2 + (self.forward(drawn.detach()) ** 2).mean() / 2


@contextmanager
def held(module: nn.Module) -> Iterator[None]:
    """``module`` lets gradients through without taking any: two players can then learn from one sum of losses."""
    free = [weight for weight in module.parameters() if weight.requires_grad]
    for weight in free:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in free:
            weight.requires_grad_(True)
