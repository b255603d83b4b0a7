"""Steering read off the turning of the camera: what a vehicle did shows in how its view moved a moment later.

When a car turns, everything far away slides sideways through its picture. Between each two frames of a recording the
strip above the horizon is matched at every sideways shift (normalized cross-correlation, by FFT); the best shift, in
picture widths a second, is the rate of turn. A driver's command shows in it after a delay, so

    guess(t) = gain * turn(t + delay)

smoothed over time. This is an inverse dynamics model (Torabi et al. 2018, "Behavioral cloning from observation") that
needs no training. The gain is fitted to the labelled moments of the target; without any, guesses get the spread of the
source's demonstrations. It knows no speed: at walking pace the same steering turns the picture less.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data import Moments
from ..errors import ConfigError, nearest
from . import Labeller

CHUNK = 256  # pairs of frames matched together
FEWEST = 10  # labelled moments that a gain is fitted to


@dataclass(frozen=True)
class Config:
    """Where to look, and how the vehicle answers its controls."""

    turned_by: str = "steering"  # which action turns the vehicle; guesses of the others are their mean over the source
    sign: float = -1.0  # of the action for a picture that slides to the right: -1 when positive actions turn right
    delay_s: float = 0.2  # from the command to the turning; raising it suits slow steering and slow people
    smooth_s: float = 0.15  # standard deviation of the smoothing over time; raising it loses quick corrections
    strip: float = 0.33  # share of the picture's height, from the top, that lies far away
    reach: float = 0.2  # largest shift between two frames, as a share of the picture's width
    trust: float = 0.5  # least correlation of two frames; below it the turn is taken from the frames around
    height: int = 120  # pixels of the pictures that are matched; raising it sees slower turns, slower
    width: int = 160  # likewise

    def build(self) -> "Motion":
        return Motion(self)


class Motion(Labeller):
    """Guesses one action from the rate of turn."""

    def __init__(self, config: Config):
        self.config, self.height, self.width = config, config.height, config.width

    def refuse_other_actions(self, actions: Sequence[str]) -> None:
        wanted = self.config.turned_by
        if wanted not in actions:
            raise ConfigError(f"labeller 'motion' has no action '{wanted}' to guess. {nearest(wanted, actions)}")

    def label(self, recorded: Moments, demonstrated: Moments, labelled: Moments) -> NDArray[np.float32]:
        names, config = recorded.action_names, self.config
        index = names.index(config.turned_by)
        turn = config.sign * turning(recorded, config)
        shown = (
            demonstrated.actions[demonstrated.rows] if demonstrated.actions is not None else np.zeros((1, len(names)))
        )
        guesses = np.repeat(shown.mean(0, dtype=np.float32)[None], len(turn), 0)
        guesses[:, index] = gain(turn, labelled, index, float(shown[:, index].std())) * turn
        return guesses


def gain(turn: NDArray[np.float32], labelled: Moments, index: int, spread: float) -> float:
    """Units of action for a picture width a second: by least squares where there are labels, by spread where not."""
    known = turn[labelled.rows]
    seen = np.isfinite(known)
    if labelled.actions is not None and seen.sum() >= FEWEST and np.square(known[seen]).sum() > 0:
        truth = labelled.actions[labelled.rows, index]
        fitted = float((known[seen] * truth[seen]).sum() / np.square(known[seen]).sum())
        if fitted > 0:
            return fitted
    return spread / max(float(np.nanstd(turn)), 1e-9)


def turning(recorded: Moments, config: Config) -> NDArray[np.float32]:
    """(M,) the rate of turn ``delay_s`` later, smoothed, in picture widths a second; nan in episodes of one frame."""
    turned = np.full(len(recorded.frames), np.nan, np.float32)
    for episode in np.unique(recorded.episode):
        rows = np.flatnonzero(recorded.episode == episode)
        if len(rows) < 2:
            continue
        time_s = recorded.time_s[rows]
        shift, trust = slides(recorded.frames[rows[0] : rows[-1] + 1, 0], config)
        rate = shift / np.maximum(np.diff(time_s), 1e-3)
        middle, sure = (time_s[1:] + time_s[:-1]) / 2, trust >= config.trust
        if not sure.any():
            continue
        rate = np.interp(middle, middle[sure], median(rate[sure]))
        turned[rows] = smoothed(time_s + config.delay_s, middle, rate, config.smooth_s)
    return turned


def slides(frames: NDArray[np.uint8], config: Config) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far frames (N, 3, H, W) slid to the right, in widths, and how alike each is to the last: (N-1,) both."""
    found = []
    for start in range(0, len(frames) - 1, CHUNK):
        part = torch.from_numpy(frames[start : start + CHUNK + 1].copy())
        found.append(matched(contrast(part, config.strip), round(config.reach * part.shape[-1])))
    shift, trust = (torch.cat(column).double().numpy() for column in zip(*found, strict=True))
    return shift / frames.shape[-1], trust


def contrast(frames: Tensor, strip: float) -> Tensor:
    """The upper ``strip`` of frames (N, 3, H, W) in grey, less its blur along the rows: light and slopes drop out."""
    grey = frames[:, :, : max(4, round(strip * frames.shape[2]))].float().mean(1)
    wide = max(3, frames.shape[3] // 7) | 1
    padded = torch.nn.functional.pad(grey, (wide // 2, wide // 2), mode="replicate")
    return grey - torch.nn.functional.avg_pool1d(padded, wide, 1)


def matched(strips: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """For each two strips (N, h, W) in a row: the shift of best normalized correlation in pixels, and that correlation.

    Correlations are taken where the strips overlap, for rises and falls of up to 2 rows, and the best shift is refined
    by a parabola through its neighbours.
    """
    before, after = strips[:-1], strips[1:]
    width = strips.shape[2]
    shifts = torch.arange(-reach, reach + 1)
    best = torch.full((len(before), len(shifts)), -1.0)
    for rise in (-2, -1, 0, 1, 2):
        a = before[:, max(0, rise) : strips.shape[1] + min(0, rise)]
        b = after[:, max(0, -rise) : strips.shape[1] + min(0, -rise)]
        size = 2 * width
        product = torch.fft.rfft(a, size).conj().mul_(torch.fft.rfft(b, size)).sum(1)
        raw = torch.fft.irfft(product, size)[:, shifts % size]
        left = torch.nn.functional.pad(a.square().sum(1).cumsum(1), (1, 0))
        right = torch.nn.functional.pad(b.square().sum(1).cumsum(1), (1, 0))
        forward = shifts.clamp_min(0)
        back = (-shifts).clamp_min(0)
        energy = (left[:, width - forward] - left[:, back]) * (right[:, width - back] - right[:, forward])
        best = torch.maximum(best, raw / energy.clamp_min(1e-6).sqrt())
    peak, at = best.max(1)
    inner = at.clamp(1, 2 * reach - 1)
    low, top, high = (best.gather(1, (inner + step)[:, None]).squeeze(1) for step in (-1, 0, 1))
    bend = low - 2 * top + high
    offset = torch.where((inner == at) & (bend < 0), 0.5 * (low - high) / bend.clamp_max(-1e-9), torch.zeros_like(top))
    return shifts[at] + offset.clamp(-0.5, 0.5), peak


def median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value, or the median of it and its two neighbours: single wild matches go."""
    padded = np.pad(values, 1, mode="edge")
    return np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)


def smoothed(
    at: NDArray[np.float64], time_s: NDArray[np.float64], values: NDArray[np.float64], spread_s: float
) -> NDArray[np.float64]:
    """Values known at ``time_s``, read at the times ``at`` through a Gaussian window of this standard deviation."""
    smooth = np.empty(len(at))
    for i, moment in enumerate(at):
        low, high = np.searchsorted(time_s, [moment - 4 * spread_s, moment + 4 * spread_s])
        near = slice(min(low, len(values) - 1), max(high, min(low, len(values) - 1) + 1))
        weight = np.exp(-0.5 * np.square((time_s[near] - moment) / max(spread_s, 1e-6)).clip(max=1200))
        smooth[i] = (weight * values[near]).sum() / weight.sum() if weight.sum() > 0 else values[near][-1]
    return smooth
