"""A bridge held steady along a clip: what was drawn a moment ago is carried along with the picture, and blended in.

    out_t = (1 - w) draw(x_t) + w warp(out_{t-1}),  w = share * exp(-(|x_t - warp(x_{t-1})| / tolerance)^2)

where ``warp`` brings the last moment to where things are now, by dense optical flow (Kroeger et al. 2016, through
OpenCV), and what the flow does not explain, or what has just come into view, is drawn anew (Lai et al. 2018, "blind
video temporal consistency", without their network). Pictures that do not follow one another are left alone.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data import Moments
from ..errors import ConfigError, MissingExtra
from . import Bridge, colors

SMALLEST = 32  # pixels of a side in which OpenCV looks for motion; with fewer on either it may crash
NOTHING = -1e4  # a colour like no other
Picture = NDArray[np.float32]  # (H, W, 3) in 0..255


@dataclass(frozen=True)
class Config:
    """What redraws, and how much of the last drawing is kept."""

    bridge: Any = field(default_factory=colors.Config)  # what redraws
    share: float = 0.6  # of the last drawing where nothing but motion changed; raising it is steadier, and blurs
    tolerance: float = 12.0  # grey levels of 255 by which a place may differ and still be the same place

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1 or self.tolerance <= 0:
            raise ConfigError("share is 0 or more and below 1, tolerance above 0.")

    def build(self) -> "Steady":
        return Steady(self)


class Past(NamedTuple):
    """The last moment of a clip."""

    seen: NDArray[np.uint8]  # (V, H, W, 3) as it was
    drawn: NDArray[np.float32]  # and drawn
    inner: Any  # what the inner bridge remembers


class Steady(Bridge):
    """Learns what the inner bridge learns; the blending has nothing to learn."""

    def __init__(self, config: Config):
        super().__init__()
        library()
        self.config: Config = config
        self.inner: Bridge = config.bridge.build()
        self.frozen = self.inner.frozen

    @property
    def learned(self) -> bool:
        return self.inner.learned

    @property
    def change(self) -> Any:
        """What a student learns by, where the inner bridge is one."""
        return self.inner.change

    @property
    def remembers(self) -> bool:
        return True

    def check(self) -> None:
        self.inner.check()

    def begin(self) -> None:
        self.inner.begin()

    def take(self, other: nn.Module) -> None:
        """A bridge that was not held steady may be the inner one from now on."""
        self.inner.take(other.inner if isinstance(other, Steady) else other)

    def calibrate(self, ours: Moments, theirs: Moments) -> None:
        self.inner.calibrate(ours, theirs)

    def prompt(self, ours: Moments) -> None:
        self.inner.prompt(ours)

    def seen(self, pictures: Tensor) -> Tensor:
        return self.inner.seen(pictures)

    def cost(self, ours: Tensor, theirs: Tensor, progress: float) -> Any:
        return self.inner.cost(ours, theirs, progress)

    def conditions(self) -> tuple[str, ...]:
        return self.inner.conditions()

    def vary(self, *conditions: str) -> None:
        self.inner.vary(*conditions)

    def clip(self, seed: int) -> None:
        self.past = None
        self.inner.clip(seed)

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images)  # type: ignore[no-any-return]

    def along(self, images: Tensor) -> Tensor:
        last: Past | None = self.past
        self.inner.past = last and last.inner
        drawn = self.inner.along(images)
        seen, redrawn = (part.permute(0, 1, 3, 4, 2).cpu().numpy() for part in (images, drawn))
        found = np.empty(redrawn.shape, np.float32)
        for moment in range(len(seen)):
            if last is None or last.seen.shape != seen[moment].shape:
                found[moment] = redrawn[moment]
            else:
                views = zip(seen[moment], redrawn[moment], last.seen, last.drawn)
                found[moment] = np.stack([self._blended(*view) for view in views])
            last = Past(seen[moment], found[moment], self.inner.past)
        self.past = last
        steady = torch.from_numpy(found).round_().clamp_(0, 255).to(torch.uint8)
        return steady.permute(0, 1, 4, 2, 3).contiguous().to(images.device)

    def _blended(self, now: NDArray[np.uint8], new: NDArray[np.uint8], old: NDArray[np.uint8], out: Picture) -> Picture:
        """``new``, the drawing of ``now``, with the last drawing ``out`` of what was ``old``; (H, W, 3) each."""
        carried = warped(np.concatenate([old.astype(np.float32), out], 2), flow(now, old))
        apart = np.abs(now - carried[..., :3]).mean(2, keepdims=True)
        weight = self.config.share * np.exp(-np.square(apart / self.config.tolerance))
        blended: Picture = (1 - weight) * new + weight * carried[..., 3:]
        return blended


def flow(now: NDArray[np.uint8], old: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W, 2) how far right and down in ``old`` lies what is seen at each place ``now``, in pixels."""
    cv2 = library()
    grey = [np.ascontiguousarray(each.mean(2).astype(np.uint8)) for each in (now, old)]
    height, width = grey[0].shape
    grown = [np.pad(each, ((0, max(0, SMALLEST - height)), (0, max(0, SMALLEST - width))), "edge") for each in grey]
    found: NDArray[np.float32] = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(*grown, None)
    return found[:height, :width]


def warped(picture: NDArray[np.float32], by: NDArray[np.float32]) -> NDArray[np.float32]:
    """``picture`` (H, W, C) at places moved ``by`` (H, W, 2); what lies outside is nothing like anything."""
    rows, columns = np.indices(by.shape[:2], dtype=np.float32)
    cv2 = library()
    places = columns + by[..., 0], rows + by[..., 1]
    parts = [
        cv2.remap(part, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=[NOTHING] * 3)
        for part in np.split(picture, picture.shape[2] // 3, 2)
    ]
    found: NDArray[np.float32] = np.concatenate(parts, 2)
    return found


def library() -> Any:
    """OpenCV, imported where it is needed."""
    try:
        import cv2
    except ImportError:
        raise MissingExtra("bridge 'steady'", "opencv-python-headless", "steady") from None
    return cv2
