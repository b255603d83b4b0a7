"""The car: a bicycle with speed, steering lag, actuation delay and grip, n of them at once."""

from types import SimpleNamespace

import torch
from torch import Tensor

GRAVITY = 9.81
SUBSTEPS = 5
LONGEST_DELAY_S = 0.5
FRONT_M, REAR_M, WIDTH_M = 3.5, 0.8, 1.8  # the body reaches this far ahead of and behind the rear axle
CAR_LENGTH_AHEAD_M = FRONT_M + 2.1  # from our rear axle to the middle of a car that we touch from behind


class Vehicles:
    """n bicycles, seen from their rear axles; x is east, y north, headings and steering angles positive to the left."""

    def __init__(self, count: int, period_s: float, device: torch.device):
        zeros = torch.zeros(count, device=device)
        self.x, self.y, self.heading = zeros, zeros.clone(), zeros.clone()  # (n,) m, m, rad
        self.speed, self.steering, self.yaw_rate = zeros.clone(), zeros.clone(), zeros.clone()  # (n,) m/s, rad, rad/s
        self.period_s = period_s
        depth = int(LONGEST_DELAY_S / period_s) + 2
        self.commands = torch.zeros(depth, count, 2, device=device)  # the newest first

    def place(self, which: Tensor, x: Tensor, y: Tensor, heading: Tensor, speed: Tensor) -> None:
        """Set the cars of the worlds `which` (a mask) down, wheels straight."""
        self.x[which], self.y[which], self.heading[which], self.speed[which] = x, y, heading, speed
        self.steering[which] = 0
        self.yaw_rate[which] = 0
        self.commands[:, which] = 0

    def step(self, actions: Tensor, alive: Tensor, dynamics: SimpleNamespace) -> None:
        """Drive one period by `actions` (n, 2): steering, positive to the right, and throttle, negative to brake."""
        self.commands = torch.cat([torch.where(alive[:, None], actions, self.commands[0])[None], self.commands[:-1]])
        period = self.period_s / SUBSTEPS
        settle = torch.exp(-period / dynamics.lag_s.clamp(min=1e-3))
        delay = dynamics.delay_s.clamp(max=LONGEST_DELAY_S)
        worlds = torch.arange(len(actions), device=actions.device)
        for k in range(SUBSTEPS):
            steps_ago = ((delay - k * period) / self.period_s - 1e-4).ceil().clamp(min=0).long()
            steering, throttle = self.commands[steps_ago, worlds].unbind(1)
            wanted = dynamics.bias_rad - steering * dynamics.steering_rad
            angle = wanted + (self.steering - wanted) * settle
            friction = GRAVITY * dynamics.grip
            push = torch.where(throttle > 0, throttle * dynamics.push_mps2, throttle * dynamics.brake_mps2)
            push = torch.minimum(torch.maximum(push, -friction), friction) - dynamics.drag_per_s * self.speed
            speed = (self.speed + push * period).clamp(min=0)
            curvature = angle.tan() / dynamics.wheelbase_m
            widest = friction / speed.square().clamp(min=1e-3)  # the tightest bend the tyres hold
            curvature = torch.minimum(torch.maximum(curvature, -widest), widest)
            turned = curvature * speed * period
            middle = self.heading + turned / 2
            self._keep("x", alive, self.x + speed * middle.cos() * period)
            self._keep("y", alive, self.y + speed * middle.sin() * period)
            self._keep("heading", alive, self.heading + turned)
            self._keep("speed", alive, speed)
            self._keep("steering", alive, angle)
            self._keep("yaw_rate", alive, curvature * speed)

    def _keep(self, name: str, alive: Tensor, value: Tensor) -> None:
        setattr(self, name, torch.where(alive, value, getattr(self, name)))
