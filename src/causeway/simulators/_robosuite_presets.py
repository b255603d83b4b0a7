"""What a world of `robosuite` looks and moves like: two presets, and what each task puts where."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple

import numpy as np

from ..errors import ConfigError

Colour = tuple[float, float, float]  # red, green, blue in 0..1, or beyond as a gain
Name = Literal["source", "target"]
Task = Literal["Lift", "Stack", "PickPlaceCan", "NutAssemblySquare", "Door"]


@dataclass(frozen=True)
class Look:
    """How the world appears. The defaults are the `source` preset: robosuite as it comes, without shadows."""

    surface: Colour = (1.0, 1.0, 1.0)  # tint of the table or the bins
    floor: Colour = (1.0, 1.0, 1.0)  # tint of the floor
    wall: Colour = (1.0, 1.0, 1.0)  # tint of the walls
    object: Colour = (1.0, 1.0, 1.0)  # tint of the things to handle
    robot: Colour = (1.0, 1.0, 1.0)  # tint of the arm
    grain: float = 0.0  # 0..1: more draws stronger stripes and blotches on table, floor and walls
    light: float = 1.0  # gain of the lamp: more is brighter
    ambient: float = 1.0  # gain of the light from everywhere: more is flatter
    lamp_left_m: float = 0.0  # how far the lamp is moved to the left: shades fall the other way
    shadows: bool = False  # whether the lamp casts shadows; a tenth slower
    exposure: float = 1.0  # gain of the camera: more is brighter, up to clipping
    warmth: float = 0.0  # colour cast: more is redder, less is bluer
    blur: float = 0.0  # of the lens: more smears a pixel more evenly over its neighbours, those of a small picture less
    noise: float = 0.0  # standard deviation of the sensor noise, of full scale
    depth_noise: float = 0.0  # standard deviation of measured depth, as a share of it

    def __post_init__(self) -> None:
        signed = {"lamp_left_m", "warmth"}
        for f in fields(self):
            if f.name not in signed and np.min(getattr(self, f.name)) < 0:
                raise ConfigError(f"{f.name} must not be negative, but it is {getattr(self, f.name)}.")
        if self.grain > 1:
            raise ConfigError(f"grain is at most 1, not {self.grain}.")


@dataclass(frozen=True)
class Camera:
    """How far the cameras that stand in the room are from where robosuite puts them. The defaults are `source`."""

    back_m: float = 0.0  # away from the robot
    left_m: float = 0.0  # to the robot's left
    up_m: float = 0.0  # higher
    yaw_rad: float = 0.0  # more looks further to its left
    pitch_rad: float = 0.0  # more looks further up
    view_rad: float = 0.0  # added to the vertical angle of view: more sees wider and smaller


@dataclass(frozen=True)
class Dynamics:
    """How arm and things answer. The defaults are the `source` preset: robosuite as it comes."""

    gain: float = 1.0  # share of a commanded motion that the controller aims for
    delay_s: float = 0.0  # between a command and its effect, in whole steps
    mass: float = 1.0  # of the things to handle, as a multiple
    friction: float = 1.0  # of things and fingers, as a multiple: less slips
    damping: float = 1.0  # of the arm's joints, as a multiple: more is slower

    def __post_init__(self) -> None:
        for f in fields(self):
            if getattr(self, f.name) < 0 or (f.name in ("gain", "mass") and not getattr(self, f.name)):
                raise ConfigError(f"{f.name} must be above 0, or 0 for a delay, not {getattr(self, f.name)}.")


class Preset(NamedTuple):
    """A whole world's settings."""

    look: Look
    camera: Camera
    dynamics: Dynamics


PRESETS: Mapping[str, Preset] = {
    "source": Preset(Look(), Camera(), Dynamics()),
    "target": Preset(
        Look(
            surface=(0.72, 0.55, 0.38),
            floor=(0.5, 0.5, 0.6),
            wall=(0.55, 0.65, 0.75),
            object=(0.8, 0.75, 0.7),
            robot=(0.85, 0.85, 0.9),
            grain=0.35,
            light=0.8,
            ambient=0.8,
            lamp_left_m=-1.5,
            shadows=True,
            exposure=0.95,
            warmth=0.06,
            blur=0.5,
            noise=0.02,
            depth_noise=0.003,
        ),
        Camera(back_m=0.04, left_m=0.03, up_m=0.03, yaw_rad=0.02, pitch_rad=0.02, view_rad=0.02),
        Dynamics(gain=0.9, delay_s=0.05, mass=1.3, friction=0.85, damping=1.2),
    ),
}


class Layout(NamedTuple):
    """Where a task puts its main thing, and how long it may take."""

    thing: str  # the body that is handled; its start decides whether demonstrations of the target cover an episode
    limit_s: float
    x_m: tuple[float, float] | None = None  # of the things, from the middle of the table; None as robosuite does
    y_m: tuple[float, float] | None = None
    box_m: tuple[tuple[float, ...], tuple[float, ...]] = ((0.2, -0.5, -0.105), (1.0, 0.5, 0.5))  # what clouds keep, in
    # the frame of the robot's base: what is over the table, without it


LAYOUTS: Mapping[str, Layout] = {
    "Lift": Layout("cube_main", 5.0, (-0.08, 0.08), (-0.16, 0.16)),
    "Stack": Layout("cubeA_main", 8.0, (-0.1, 0.1), (-0.16, 0.16)),
    "PickPlaceCan": Layout("Can_main", 12.5),
    "NutAssemblySquare": Layout("SquareNut_main", 10.0, box_m=((0.2, -0.5, -0.085), (1.0, 0.5, 0.5))),
    "Door": Layout("Door_main", 10.0),
}
