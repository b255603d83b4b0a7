"""Colours of the one side given to the other: by mean and spread (Reinhard et al. 2001), or by the whole histogram.

    x' = (x - m_ours) * s_theirs / s_ours + m_theirs    for each channel of CIE Lab ("moments")
    x' = F_theirs^-1(F_ours(x))                         for each channel, F its distribution ("histogram")

of all pictures of a side together, so that a dark frame stays darker than a light one.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from kornia.color import lab_to_rgb, rgb_to_lab
from torch import Tensor

from ..data import Moments
from . import Bridge, quantized, sample

LEVELS = 256  # of a distribution


@dataclass(frozen=True)
class Config:
    """What of the colours is given."""

    by: Literal["moments", "histogram"] = "moments"  # "histogram" follows the colours more closely, odd ones too
    pictures: int = 500  # of each side, looked at for its colours

    def build(self) -> "Colors":
        return Colors(self)


class Colors(Bridge):
    """Straight lines between values of ours and the values of theirs that take their place, for each channel of Lab."""

    learned = True

    def __init__(self, config: Config):
        super().__init__()
        self.config: Config = config
        self.ours: Tensor
        self.theirs: Tensor
        count = 2 if config.by == "moments" else LEVELS
        for name in ("ours", "theirs"):
            self.register_buffer(name, torch.linspace(0, 1, count).repeat(3, 1))

    def calibrate(self, ours: Moments, theirs: Moments) -> None:
        shares = torch.linspace(0, 1, LEVELS)
        for name, moments in (("ours", ours), ("theirs", theirs)):
            pictures = sample(moments, self.config.pictures).float() / 255
            values = rgb_to_lab(pictures).transpose(0, 1).flatten(1)
            if self.config.by == "moments":
                mean, spread = values.mean(1, keepdim=True), values.std(1, keepdim=True).clamp(min=1e-3)
                table = mean + spread * torch.tensor([-1.0, 1.0])
            else:
                drawn = values[
                    :, torch.randperm(values.shape[1], generator=torch.Generator().manual_seed(0))[:1_000_000]
                ]
                table = torch.quantile(drawn, shares, dim=1).T
            getattr(self, name).copy_(table)

    def forward(self, images: Tensor) -> Tensor:
        lab = rgb_to_lab(images.flatten(0, 1).float() / 255)
        for channel, (ours, theirs) in enumerate(zip(self.ours, self.theirs)):
            x = lab[:, channel].contiguous()
            after = torch.searchsorted(ours, x).clamp(1, len(ours) - 1)
            share = (x - ours[after - 1]) / (ours[after] - ours[after - 1]).clamp(min=1e-6)
            share = share if self.config.by == "moments" else share.clamp(0, 1)
            lab[:, channel] = theirs[after - 1].lerp(theirs[after], share)
        return quantized(lab_to_rgb(lab)).view(images.shape)
