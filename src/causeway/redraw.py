"""Pictures through a bridge: clip by clip, so that what is drawn at random stays the same along one."""

import numpy as np
import torch
from numpy.typing import NDArray

from .bridges import Bridge
from .data import Moments
from .progress import counted

CHUNK = 16  # moments redrawn at once


@torch.inference_mode()
def through(bridge: Bridge, moments: Moments) -> NDArray[np.uint8]:
    """The ``moments`` as the bridge redraws them, (N, V, 3, H, W). A clip is an unbroken stretch of an episode."""
    bridge.eval()
    found = np.empty((len(moments), *moments.frames.shape[1:]), np.uint8)
    with counted("redrawing", len(moments), "moments") as advance:
        for clip in clips(moments):
            bridge.clip(int(moments.episode[moments.rows[clip[0]]]))
            for start in range(0, len(clip), CHUNK):
                part = clip[start : start + CHUNK]
                found[part] = redrawn(bridge, moments.frames[moments.rows[part]])
                advance(len(part))
    return found


def redrawn(bridge: Bridge, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A few moments of one clip, (B, V, 3, H, W)."""
    drawn: NDArray[np.uint8] = bridge(torch.from_numpy(np.ascontiguousarray(frames))).numpy()
    return drawn


def clips(moments: Moments) -> list[NDArray[np.int64]]:
    """The places of the moments of each unbroken stretch of an episode, in order."""
    rows = moments.rows
    breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(moments.episode[rows]) != 0)) + 1
    return np.split(np.arange(len(rows)), breaks) if len(rows) else []
