"""Closed tracks from random splines, and the map a camera or a car looks positions up in."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]

SAMPLES = 512  # of the centreline, evenly spaced
MAP = 160  # texels along a side of the map
MARGIN_M = 14.0  # of map around the track
BLOCK = 4  # texels along a side of the blocks that look for their nearest stretch of road together
DASH_M = 6.0  # one dash and one gap, about: a whole number of them fits the lap
TIGHTEST_M = 10.0  # smallest radius of a bend
BOTH_WAYS = 0.04  # per metre: a lap also bends against its turn, at least so much
APART_M = 13.0  # at least so far are two stretches of the road, centre to centre
LAP_M = (220.0, 320.0)


class Track(NamedTuple):
    """A closed road. Left of its direction is positive."""

    position: Array  # (SAMPLES, 2) m
    heading: Array  # (SAMPLES,) rad
    curvature: Array  # (SAMPLES,) per metre, positive in left-hand bends
    length_m: float


def draw(random: np.random.Generator) -> Track:
    """A random closed track that keeps clear of itself and bends no tighter than a car can drive."""
    for roughness in (0.7, 0.65, 0.6, 0.55, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0):  # the last one is nearly a circle
        for _ in range(20):
            track = _spline(random, roughness)
            if _drivable(track) and (track.curvature.min() < -BOTH_WAYS or roughness < 0.5):
                return track if random.random() < 0.5 else _reversed(track)
    raise AssertionError("A ring of control points without roughness makes a drivable track.")


def _spline(random: np.random.Generator, roughness: float) -> Track:
    """A periodic uniform cubic B-spline through a ring of control points, evenly resampled by arc length."""
    count = int(random.integers(10, 15))
    angle = 2 * np.pi * (np.arange(count) + random.uniform(-0.25, 0.25, count)) / count
    radius = 1 - roughness * random.random(count)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    t = np.linspace(0, 1, 48, endpoint=False)[:, None]
    basis = np.concatenate([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    slope = np.concatenate([-((1 - t) ** 2), 3 * t**2 - 4 * t, -3 * t**2 + 2 * t + 1, t**2], axis=1) / 2
    bend = np.concatenate([1 - t, 3 * t - 2, -3 * t + 1, t], axis=1)
    around = np.stack([np.roll(points, -k, axis=0) for k in range(4)], axis=1)  # (count, 4, 2)
    place, first, second = ((b[None] @ around).reshape(-1, 2) for b in (basis, slope, bend))
    speed = np.linalg.norm(first, axis=1)
    curvature = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / speed**3
    heading = np.unwrap(np.arctan2(first[:, 1], first[:, 0]))
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.roll(place, -1, axis=0) - place, axis=1))])
    scale = random.uniform(*LAP_M) / along[-1]
    even = np.arange(SAMPLES) * along[-1] / SAMPLES

    def resampled(values: Array, end: float) -> Array:
        return np.asarray(np.interp(even, along, np.append(values, end)))

    return Track(
        scale * np.stack([resampled(place[:, k], place[0, k]) for k in range(2)], axis=1),
        resampled(heading, heading[0] + 2 * np.pi),
        resampled(curvature, curvature[0]) / scale,
        float(scale * along[-1]),
    )


def _drivable(track: Track) -> bool:
    if np.abs(track.curvature).max() > 1 / TIGHTEST_M:
        return False
    some = track.position[::4]
    apart = np.linalg.norm(some[:, None] - some[None], axis=2)
    index = np.arange(len(some))
    steps = np.abs(index[:, None] - index[None])
    along = np.minimum(steps, len(some) - steps) * track.length_m / len(some)
    return bool(apart[along > 1.6 * APART_M].min() > APART_M)


def _reversed(track: Track) -> Track:
    position, heading, curvature = (np.flip(values, axis=0).copy() for values in track[:3])
    return Track(position, heading + np.pi, -curvature, track.length_m)


def shades(random: np.random.Generator, track: Track) -> Array:
    """Round shadows that lie across the road: (blobs, 4) of x, y, radius and strength."""
    count = int(track.length_m / 9)
    at = random.integers(SAMPLES, size=count)
    side = random.uniform(-6, 6, count)
    left = np.stack([-np.sin(track.heading[at]), np.cos(track.heading[at])], axis=1)
    place = track.position[at] + side[:, None] * left
    return np.column_stack([place, random.uniform(1.2, 3.5, count), random.uniform(0.5, 1.0, count)])


class Charted(NamedTuple):
    """A map of one track: what lies where, on a grid of MAP x MAP texels."""

    layers: torch.Tensor  # (3, MAP, MAP): m left of the centreline; cosine of the phase of the dashes; shade 0..1
    middle: Array  # (2,) m, where the middle of the map is
    half_m: float  # from the middle to the centres of the outermost texels


def chart(track: Track, blobs: Array) -> Charted:
    """Look up the nearest point of the centreline once for each texel.

    The offset is signed by the side of a closed curve, and the phase by a whole number of dashes, so that both are
    continuous all around the lap and interpolate well.
    """
    low, high = track.position.min(axis=0), track.position.max(axis=0)
    middle, half = (low + high) / 2, float((high - low).max() / 2 + MARGIN_M)
    line = torch.linspace(-half, half, MAP)
    position = torch.from_numpy(track.position - middle).float()
    heading = torch.from_numpy(track.heading)
    texels = torch.cartesian_prod(line, line).flip(1)  # rows are y, columns x
    curvature = torch.from_numpy(track.curvature).float()
    cosine, sine = heading.cos().float(), heading.sin().float()
    nearest = _nearest_by_blocks(line, position)
    for last in (False, False, True):  # walk along the centreline to the foot of the perpendicular
        away = texels - position[nearest]
        c, s = cosine[nearest], sine[nearest]
        along, offset = c * away[:, 0] + s * away[:, 1], c * away[:, 1] - s * away[:, 0]
        step = along / (1 - curvature[nearest] * offset).clamp(min=0.4)
        if not last:
            nearest = (nearest + (step * (SAMPLES / track.length_m)).round().clamp(-16, 16).long()) % SAMPLES
    dashes = round(track.length_m / DASH_M)
    phase = torch.cos(2 * torch.pi * dashes * (nearest / SAMPLES + step / track.length_m))
    spots = torch.from_numpy(blobs - [*middle, 0, 0]).float()
    reach = torch.cdist(texels.reshape(MAP, MAP, 2)[::2, ::2].reshape(-1, 2), spots[:, :2]) / spots[:, 2]
    shade = ((1.3 - reach) / 0.6).clamp(0, 1).mul(spots[:, 3]).amax(dim=1).reshape(1, 1, MAP // 2, MAP // 2)
    shade = torch.nn.functional.interpolate(shade, (MAP, MAP), mode="bilinear").flatten()
    return Charted(torch.stack([offset, phase, shade]).reshape(3, MAP, MAP), middle, half)


def _nearest_by_blocks(line: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """The index of the sample nearest to the middle of each texel's block."""
    middles = line.reshape(-1, BLOCK).mean(dim=1)
    rough = torch.cdist(torch.cartesian_prod(middles, middles).flip(1), position).argmin(dim=1)
    blocks = rough.reshape(MAP // BLOCK, MAP // BLOCK)
    return blocks.repeat_interleave(BLOCK, dim=0).repeat_interleave(BLOCK, dim=1).flatten()
