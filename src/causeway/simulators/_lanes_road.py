"""The roads of n worlds, to look positions up in both ways: along the lap and on the plane."""

from typing import NamedTuple

import torch
from torch import Tensor

from ._lanes_track import MAP, SAMPLES, Charted, Track


class Spot(NamedTuple):
    """Where a point is on its road."""

    along: Tensor  # (n,) m along the lap
    left: Tensor  # (n,) m left of the centreline
    heading: Tensor  # (n,) rad, of the road there


class Roads:
    """The tracks of n worlds as tables."""

    def __init__(self, count: int, device: torch.device):
        self.position = torch.zeros(count, SAMPLES, 2, device=device)  # m
        self.heading = torch.zeros(count, SAMPLES, device=device)  # rad
        self.curvature = torch.zeros(count, SAMPLES, device=device)  # per metre
        self.lap = torch.ones(count, device=device)  # m
        self.layers = torch.zeros(count, 3, MAP, MAP, device=device)  # see _lanes_track.chart
        self.middle = torch.zeros(count, 2, device=device)  # m, of the map
        self.half = torch.ones(count, device=device)  # m
        self._worlds = torch.arange(count, device=device)

    def place(self, world: int, track: Track, charted: Charted) -> None:
        """Lay `track` out in one world."""
        self.position[world] = torch.from_numpy(track.position)
        self.heading[world] = torch.from_numpy(track.heading)
        self.curvature[world] = torch.from_numpy(track.curvature)
        self.lap[world] = track.length_m
        self.layers[world] = charted.layers
        self.middle[world] = torch.from_numpy(charted.middle)
        self.half[world] = charted.half_m

    def at(self, along: Tensor, left: Tensor) -> Tensor:
        """The place `left` of the centreline at `along` (n, K) m of the lap: (n, K, 3) x, y and heading of the road."""
        exact = (along / self.lap[:, None] * SAMPLES) % SAMPLES
        index = exact.long() % SAMPLES  # a remainder may round up to SAMPLES itself
        rest = (exact - index) * (self.lap / SAMPLES)[:, None]
        world = self._worlds[:, None]
        heading = self.heading[world, index]
        curvature = self.curvature[world, index]
        start, middle = self.position[world, index], heading + curvature * rest / 2
        end = heading + curvature * rest
        x = start[..., 0] + rest * middle.cos() - left * end.sin()
        y = start[..., 1] + rest * middle.sin() + left * end.cos()
        return torch.stack([x, y, end], dim=2)

    def locate(self, x: Tensor, y: Tensor) -> Spot:
        """Where on the road the points (n,) are, by their nearest point of the centreline."""
        away = torch.stack([x, y], dim=1)[:, None] - self.position
        index = away.square().sum(dim=2).argmin(dim=1)
        nearest = away[self._worlds, index]
        heading, curvature = self.heading[self._worlds, index], self.curvature[self._worlds, index]
        ahead = nearest[:, 0] * heading.cos() + nearest[:, 1] * heading.sin()
        left = nearest[:, 1] * heading.cos() - nearest[:, 0] * heading.sin()
        step = ahead / (1 - curvature * left)  # along the centreline, not along the tangent
        return Spot(index * self.lap / SAMPLES + step, left - curvature * step.square() / 2, heading + curvature * step)

    def bend(self, along: Tensor) -> Tensor:
        """The curvature at `along` (n, K) m of the lap, positive to the left."""
        index = (along / self.lap[:, None] * SAMPLES).round().long() % SAMPLES
        return self.curvature[self._worlds[:, None], index]
