"""What a world of `lanes` looks and drives like: the published presets, and how far randomization wanders from them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import torch

Colour = tuple[float, float, float]  # red, green, blue in 0..1


@dataclass(frozen=True)
class Look:
    """How the world appears. The defaults are the `source` preset: clean and flat."""

    asphalt: Colour = (0.36, 0.36, 0.38)  # the road
    verge: Colour = (0.30, 0.55, 0.25)  # the ground beside the road
    edge: Colour = (0.95, 0.95, 0.95)  # the solid lines at the edges of the road
    centre: Colour = (0.95, 0.95, 0.95)  # the dashed line between the lanes
    zenith: Colour = (0.35, 0.60, 0.95)  # the sky above
    horizon: Colour = (0.70, 0.85, 1.00)  # the sky at the horizon, and what haze fades to
    hills: float = 0.0  # height of the hills at the horizon, as a tangent: higher covers more sky
    texture: float = 0.0  # grain of the ground: more makes asphalt and verge rougher
    wear: float = 0.0  # 0..1: more rubs more patches out of the markings
    shadows: float = 0.0  # 0..1: more makes the shadows on the ground darker
    haze: float = 0.0  # per metre: more fades what is far
    exposure: float = 1.0  # gain of the camera: more is brighter, up to clipping
    warmth: float = 0.0  # colour cast: more is redder, less is bluer
    vignette: float = 0.0  # 0..1: more darkens the corners
    blur: float = 0.0  # shutter time as a part of the frame time: more smears motion
    noise: float = 0.0  # standard deviation of the sensor noise, of full scale


@dataclass(frozen=True)
class Camera:
    """Where the camera sits. The defaults are the `source` preset."""

    height_m: float = 1.4  # above the ground: more sees the road from higher
    forward_m: float = 1.5  # ahead of the rear axle
    left_m: float = 0.0  # of the middle of the car
    pitch_rad: float = 0.10  # more looks further down
    yaw_rad: float = 0.0  # more looks further to the left
    roll_rad: float = 0.0  # more leans further to the left, so the horizon falls to the right
    view_rad: float = 1.6  # horizontal angle of view: more sees wider and smaller


@dataclass(frozen=True)
class Dynamics:
    """How the car answers. The defaults are the `source` preset."""

    wheelbase_m: float = 2.7  # longer turns wider
    steering_rad: float = 0.45  # angle of the front wheels at full lock: more turns tighter
    bias_rad: float = 0.0  # what the wheels do when the wheel is straight: more pulls to the left
    lag_s: float = 0.05  # time constant of the steering: more answers slower
    delay_s: float = 0.0  # between a command and its effect, at most half a second
    push_mps2: float = 3.0  # acceleration at full throttle
    brake_mps2: float = 6.0  # deceleration at full brake
    drag_per_s: float = 0.1  # more rolls out sooner
    grip: float = 0.9  # friction of the tyres: less slides wide in bends and brakes later


class Preset(NamedTuple):
    """A whole world's settings."""

    look: Look
    camera: Camera
    dynamics: Dynamics


SOURCE = Preset(Look(), Camera(), Dynamics())
TARGET = Preset(
    Look(
        asphalt=(0.31, 0.30, 0.31),
        verge=(0.46, 0.39, 0.24),
        edge=(0.80, 0.79, 0.74),
        centre=(0.85, 0.66, 0.22),
        zenith=(0.55, 0.60, 0.68),
        horizon=(0.86, 0.83, 0.78),
        hills=0.09,
        texture=0.15,
        wear=0.4,
        shadows=0.3,
        haze=0.007,
        exposure=1.15,
        warmth=0.06,
        vignette=0.35,
        blur=0.5,
        noise=0.02,
    ),
    Camera(height_m=1.25, forward_m=1.5, left_m=0.15, pitch_rad=0.16, yaw_rad=0.03, roll_rad=0.015, view_rad=1.6),
    Dynamics(steering_rad=0.38, bias_rad=0.012, lag_s=0.18, delay_s=0.10, push_mps2=2.5, brake_mps2=5.0, grip=0.75),
)
SPREAD = Preset(  # the largest step of each number from its preset, either way, at randomize = 1
    Look(
        asphalt=(0.15, 0.15, 0.15),
        verge=(0.25, 0.25, 0.25),
        edge=(0.2, 0.2, 0.2),
        centre=(0.3, 0.3, 0.5),
        zenith=(0.25, 0.25, 0.25),
        horizon=(0.2, 0.2, 0.2),
        hills=0.15,
        texture=0.4,
        wear=0.6,
        shadows=0.7,
        haze=0.015,
        exposure=0.35,
        warmth=0.12,
        vignette=0.5,
        blur=0.6,
        noise=0.05,
    ),
    Camera(height_m=0.25, forward_m=0.2, left_m=0.25, pitch_rad=0.08, yaw_rad=0.06, roll_rad=0.03, view_rad=0.12),
    Dynamics(
        wheelbase_m=0.2,
        steering_rad=0.09,
        bias_rad=0.02,
        lag_s=0.15,
        delay_s=0.12,
        push_mps2=0.8,
        brake_mps2=1.2,
        drag_per_s=0.05,
        grip=0.2,
    ),
)
PRESETS = {"source": SOURCE, "target": TARGET}
Name = Literal["source", "target"]
EITHER_SIGN = {"warmth", "left_m", "pitch_rad", "yaw_rad", "roll_rad", "bias_rad"}

S = TypeVar("S", Look, Camera, Dynamics)


def wander(preset: Preset, amount: float, random: np.random.Generator) -> Preset:
    """`preset` with every number moved by at most `amount` times its spread."""

    def moved(settings: S, spread: S) -> S:
        values: dict[str, Any] = {}
        for f in fields(settings):
            step = (
                amount * np.asarray(getattr(spread, f.name)) * random.uniform(-1, 1, np.shape(getattr(spread, f.name)))
            )
            value = np.asarray(getattr(settings, f.name)) + step
            value = value if f.name in EITHER_SIGN else np.maximum(value, 0)
            values[f.name] = tuple(value.tolist()) if value.ndim else float(value)
        return type(settings)(**values)

    look, camera, dynamics = (moved(*pair) for pair in zip(preset, SPREAD))  # type: ignore[type-var]
    return Preset(look, camera, dynamics)  # type: ignore[arg-type]


def stack(settings: Sequence[S], device: torch.device) -> SimpleNamespace:
    """The same settings of n worlds as tensors under the same names: (n,) each, (n, 3) a colour."""
    return SimpleNamespace(
        **{
            f.name: torch.tensor([getattr(s, f.name) for s in settings], dtype=torch.float32, device=device)
            for f in fields(settings[0])
        }
    )
