"""The expert: pure pursuit along the lane, slower in bends, stopping behind cars. It knows the true state."""

from types import SimpleNamespace

import torch
from torch import Tensor

from ._lanes_road import Roads, Spot
from ._lanes_vehicle import GRAVITY, Vehicles

CRUISE_MPS = 8.0
SIDEWAYS_MPS2 = 2.5  # comfortable in bends
BRAKING_MPS2 = 1.8  # comfortable before bends and behind cars
STANDING_GAP_M = 4.0


def drive(
    vehicles: Vehicles, roads: Roads, spot: Spot, dynamics: SimpleNamespace, lane_left: float, gap: Tensor, lead: Tensor
) -> Tensor:
    """Steering and throttle (n, 2), for the lane `lane_left` of the centreline and the car ahead: gap (n,) m, speed."""
    wait = dynamics.delay_s + dynamics.lag_s  # until a command is felt
    speed, turn = vehicles.speed, vehicles.yaw_rate * wait
    heading = vehicles.heading + turn
    middle = vehicles.heading + turn / 2
    x, y = vehicles.x + speed * wait * middle.cos(), vehicles.y + speed * wait * middle.sin()
    ahead = spot.along + speed * wait + 3.0 + 0.45 * speed
    aim = roads.at(ahead[:, None], torch.full_like(ahead, lane_left)[:, None])[:, 0]
    away_x, away_y = aim[:, 0] - x, aim[:, 1] - y
    aside = away_y * heading.cos() - away_x * heading.sin()
    curvature = 2 * aside / (away_x.square() + away_y.square()).clamp(min=1.0)
    angle = torch.atan(dynamics.wheelbase_m * curvature)
    steering = (dynamics.bias_rad - angle) / dynamics.steering_rad.clamp(min=1e-3)

    distance = torch.arange(0, 24.0, 1.5, device=x.device)
    bend = roads.bend(spot.along[:, None] + distance)
    bend = (bend / (1 - lane_left * bend)).abs().clamp(min=1e-3)
    sideways = (0.45 * GRAVITY * dynamics.grip).clamp(max=SIDEWAYS_MPS2)[:, None]
    fastest = (sideways / bend + 2 * BRAKING_MPS2 * distance).sqrt().amin(dim=1).clamp(max=CRUISE_MPS)
    room = gap - STANDING_GAP_M - speed * wait
    behind = (0.5 * lead.square() + 2 * BRAKING_MPS2 * room).clamp(min=0).sqrt()
    wanted = 1.5 * (torch.minimum(fastest, behind) - speed) + dynamics.drag_per_s * speed
    throttle = torch.where(wanted > 0, wanted / dynamics.push_mps2, wanted / dynamics.brake_mps2)
    return torch.stack([steering, throttle], dim=1).clamp(-1, 1)
