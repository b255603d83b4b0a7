"""Fourier domain adaptation (Yang & Soatto 2020): low frequencies of theirs under the high ones of ours.

    x' = F^-1( A of theirs where |f| <= frequencies, A of ours elsewhere; phase of ours )

with the amplitudes A of a picture of theirs drawn for each picture (one for a whole clip where a clip is redrawn), or
of their mean. The phase keeps where things are.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Moments
from ..errors import ConfigError
from . import Bridge, quantized, sample


@dataclass(frozen=True)
class Config:
    """How much is taken, and of whom."""

    frequencies: int = 2  # cycles across the picture, each way, up to which they are taken over; more takes more
    bank: int = 32  # pictures of theirs that amplitudes are drawn from; 0 takes the mean amplitude of all looked at
    pictures: int = 500  # of theirs, looked at for that mean

    def __post_init__(self) -> None:
        if self.frequencies < 0 or self.bank < 0 or self.pictures < 1:
            raise ConfigError("needs frequencies and bank of 0 or more, and pictures of 1 or more.")

    def build(self) -> "Fourier":
        return Fourier(self)


class Fourier(Bridge):
    """It keeps the low amplitudes alone, which are few, and those of a mean picture: they fit pictures of any size."""

    learned = True

    def __init__(self, config: Config):
        super().__init__()
        self.config: Config = config
        side = 2 * config.frequencies + 1
        shape = max(1, config.bank), 3, side, side
        self.low: Tensor
        self.register_buffer("low", torch.ones(shape))
        self._chosen = 0  # of the bank, for a clip

    def calibrate(self, ours: Moments, theirs: Moments) -> None:
        pictures = sample(theirs, self.config.bank or self.config.pictures).float() / 255
        low = self._cut(torch.fft.fft2(pictures, norm="forward").abs())
        repeated = torch.arange(len(self.low)) % len(low)  # a small set fills the bank several times over
        self.low.copy_(low[repeated] if self.config.bank else low.mean(0, keepdim=True))

    def clip(self, seed: int) -> None:
        self._chosen = int(torch.randint(len(self.low), (), generator=torch.Generator().manual_seed(seed)))

    def forward(self, images: Tensor) -> Tensor:
        pictures = images.flatten(0, 1).float() / 255
        waves = torch.fft.fft2(pictures, norm="forward")
        size, phase = waves.abs(), waves.angle()
        if self.training:
            chosen = torch.randint(len(self.low), (len(pictures),), device=images.device)
        else:
            chosen = torch.full((len(pictures),), self._chosen, device=images.device)
        size = torch.fft.fftshift(size, dim=(2, 3))
        rows, columns = self._middle(size)
        size[:, :, rows, columns] = self.low[chosen]
        mixed = torch.fft.ifft2(torch.polar(torch.fft.ifftshift(size, dim=(2, 3)), phase), norm="forward").real
        return quantized(mixed).view(images.shape)

    def _cut(self, size: Tensor) -> Tensor:
        rows, columns = self._middle(size)
        low: Tensor = torch.fft.fftshift(size, dim=(2, 3))[:, :, rows, columns]
        return low

    def _middle(self, size: Tensor) -> tuple[slice, slice]:
        """Where the low frequencies stand once the lowest is in the middle."""
        reach = self.config.frequencies
        row, column = size.shape[2] // 2, size.shape[3] // 2
        if 2 * reach + 1 > min(size.shape[2:]):
            raise ConfigError(
                f"frequencies = {reach}: pictures of {size.shape[3]}x{size.shape[2]} do not have so many."
            )
        return slice(row - reach, row + reach + 1), slice(column - reach, column + reach + 1)
