"""What else is on the road: cars that slow and stop in our lane, cars that come towards us, and cones at the edges."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ._lanes_vehicle import FRONT_M, REAR_M, WIDTH_M

CAR_HALF = (2.1, 0.9)  # m, half the length and half the width of a car
CONE_RADIUS_M, CONE_HEIGHT_M = 0.28, 0.75
BRAKING_MPS2 = 3.0  # of the other cars
PAINTS = ((0.75, 0.10, 0.10), (0.10, 0.22, 0.65), (0.85, 0.85, 0.85), (0.10, 0.10, 0.12), (0.80, 0.60, 0.10))


class Plan(NamedTuple):
    """What the cars and cones of one episode do, drawn at its reset."""

    start: NDArray[np.float32]  # (cars,) m along the lap
    speed: NDArray[np.float32]  # (cars,) m/s when free, negative for cars that come towards us
    stop: NDArray[np.float32]  # (cars, 2) s: the pause between two stops, 0 for never, and how long a stop lasts
    paint: NDArray[np.float32]  # (cars, 3)
    cone: NDArray[np.float32]  # (cones, 2) m along the lap and to the left of its centreline


def plan(
    random: np.random.Generator, ahead: int, oncoming: int, cones: int, ego: float, lap: float, lane: float
) -> Plan:
    """Cars well apart; the first of those ahead starts 16 to 35 m before us."""
    gap = random.uniform(16, 35)
    mine = ego + gap + np.arange(ahead) * (lap - 2 * gap) / max(ahead, 1)
    theirs = ego + random.uniform(30, 60) + np.arange(oncoming) * lap / max(oncoming, 1)
    speed = np.concatenate([random.uniform(5.0, 7.0, ahead), -random.uniform(4.0, 7.0, oncoming)])
    stop = np.zeros((ahead + oncoming, 2))
    stop[:ahead] = np.column_stack([random.uniform(6, 12, ahead), random.uniform(1.0, 2.5, ahead)])
    paint = np.asarray(PAINTS)[random.integers(len(PAINTS), size=ahead + oncoming)]
    side = np.where(random.random(cones) < 0.6, -1, 1) * (lane + random.uniform(0.4, 1.2, cones))
    cone = np.column_stack([ego + random.uniform(8, lap - 8, cones), side])
    return Plan(*(a.astype(np.float32) for a in (np.concatenate([mine, theirs]), speed, stop, paint, cone)))


class Traffic:
    """The cars of n worlds, on rails along their lanes: each brakes for what is ahead of it in its lane."""

    def __init__(self, count: int, cars: int, cones: int, device: torch.device):
        self.along = torch.zeros(count, cars, device=device)  # m along the lap
        self.speed = torch.zeros(count, cars, device=device)  # m/s, negative towards us
        self.wish = torch.zeros(count, cars, device=device)
        self.stop = torch.zeros(count, cars, 2, device=device)
        self.paint = torch.zeros(count, cars, 3, device=device)
        self.cone = torch.zeros(count, cones, 2, device=device)
        self.clock = torch.zeros(count, 1, device=device)  # s since the reset

    def place(self, world: int, plan: Plan) -> None:
        """Begin the episode `plan` in one world."""
        for name, values in zip(("along", "wish", "stop", "paint", "cone"), plan):
            getattr(self, name)[world] = torch.from_numpy(values).to(self.along.device)
        self.speed[world] = self.wish[world]
        self.clock[world] = 0

    def step(self, period_s: float, alive: Tensor, ego: Tensor, beside: Tensor, lap: Tensor) -> None:
        """Move on by one period. `ego` (n,) is how far along the lap we are, `beside` (n,) whether in their lane."""
        self.clock += period_s * alive[:, None]
        pause, stay = self.stop.unbind(2)
        stopped = (pause > 0) & (self.clock % (pause + stay).clamp(min=1e-3) > pause)
        wish = torch.where(stopped, 0, self.wish.abs())
        direction = self.wish.sign()
        before = torch.cat([self.along, ego[:, None]], dim=1)[:, None] - self.along[:, :, None]  # (n, cars, cars + 1)
        before = (before * direction[:, :, None]) % lap[:, None, None]
        same = self._same_lane(direction, beside)
        gap = torch.where(same & (before > 0.01), before, torch.inf).amin(dim=2) - 2 * CAR_HALF[0]
        wish = torch.minimum(wish, ((gap - 3) / 1.2).clamp(min=0))
        pace = self.speed.abs()
        pace = torch.minimum(torch.maximum(wish, pace - BRAKING_MPS2 * period_s), pace + 2.0 * period_s)
        self.speed = torch.where(alive[:, None], pace * direction, self.speed)
        self.along = torch.where(alive[:, None], (self.along + self.speed * period_s) % lap[:, None], self.along)

    @staticmethod
    def _same_lane(direction: Tensor, beside: Tensor) -> Tensor:
        cars = direction[:, :, None] == direction[:, None]
        ours = (direction > 0) ^ beside[:, None]
        return torch.cat([cars, ours[:, :, None]], dim=2)


def collides(ego: Tensor, cars: Tensor, cones: Tensor) -> Tensor:
    """Whether our body touches a car or a cone: (n,) bool.

    `ego` (n, 3) and `cars` (n, cars, 3) are x, y and heading, ours at the rear axle, theirs in the middle; `cones` is
    (n, cones, 2). Rectangles by the separating-axis theorem: they touch unless one of their four axes parts them.
    """
    half = torch.tensor([(FRONT_M + REAR_M) / 2, WIDTH_M / 2], device=ego.device)
    facing = torch.stack([ego[:, 2].cos(), ego[:, 2].sin()], dim=1)
    middle = ego[:, :2] + (FRONT_M - REAR_M) / 2 * facing
    other = torch.tensor(CAR_HALF, device=ego.device)
    away = _turned(cars[..., :2] - middle[:, None], ego[:, 2:])
    turn = cars[..., 2] - ego[:, 2:]
    cosine, sine = turn.cos().abs(), turn.sin().abs()
    back = _turned(cars[..., :2] - middle[:, None], cars[..., 2])
    reach = torch.stack([other[0] * cosine + other[1] * sine, other[0] * sine + other[1] * cosine], dim=2) + half
    reach_back = torch.stack([half[0] * cosine + half[1] * sine, half[0] * sine + half[1] * cosine], dim=2) + other
    hit_car = ((away.abs() < reach) & (back.abs() < reach_back)).all(dim=2).any(dim=1)
    beside = _turned(cones - middle[:, None], ego[:, 2:])
    outside = (beside.abs() - half).clamp(min=0).square().sum(dim=2)
    return hit_car.logical_or((outside < CONE_RADIUS_M**2).any(dim=1))


def _turned(vector: Tensor, heading: Tensor) -> Tensor:
    """World vectors (n, K, 2) in the frame of something with `heading` (n, K or 1)."""
    cosine, sine = heading.cos(), heading.sin()
    x, y = vector.unbind(2)
    return torch.stack([cosine * x + sine * y, cosine * y - sine * x], dim=2)
