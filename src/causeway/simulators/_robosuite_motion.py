"""Motions that robosuite's experts are made of: go to a pose at a limited speed, take hold of a thing from above.

Nothing here remembers: what to do follows from where the hand, its fingers and the thing are now, so that a policy
without memory can imitate it. An action is (dx, dy, dz, rotation vector, grip), each in -1..1, for the controller
OSC_POSE with deltas: 1 asks for a goal 5 cm or 0.5 rad from where the hand is, in the frame of the world.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

UP = np.array([0.0, 0.0, 1.0])
REST_YAW = np.pi / 2  # the wrist turns by 2.1 rad to one side of it and by 3.6 to the other
FULL_M, FULL_RAD = 0.05, 0.5  # what a command of 1 asks for
GAIN = 2.0  # goals lie so many times as far as the target: the controller's spring alone is slow near it
OPEN, CLOSE = -1.0, 1.0
REACH_M = 0.02  # the pads hold what is no further from the middle between them
ROOM_M = 0.012  # the fingers open wider than the thing by at least this before they go down around it
KEEP_OFF_M = 0.1  # from a thing, while the hand is too low to pass over it
FUNNEL = 3.0  # metres above the grasp for each metre aside


class Hand(NamedTuple):
    """The gripper."""

    position: Floats  # (3,) m, between the pads
    rotation: Floats  # (3, 3), columns in the world: from pad to pad, along the pads, out of the palm
    opening_m: float  # between the pads

    @property
    def yaw(self) -> float:
        """Of the line from pad to pad, seen from above, within half a turn of how the Panda holds it at rest."""
        return REST_YAW + float(np.arctan2(-self.rotation[0, 0], self.rotation[1, 0]))


class Grasp(NamedTuple):
    """Where a thing is to be held."""

    position: Floats  # (3,) m
    rotation: Floats  # (3, 3), of the hand that holds it
    width_m: float  # of the thing along that line


def nearest_yaw(yaw: float, to: float, period: float) -> float:
    """The yaw closest to ``to`` among those that a symmetry of ``period`` makes equal to ``yaw``."""
    return float(yaw + period * np.round((to - yaw) / period))


def downwards(yaw: float) -> Floats:
    """The hand's rotation (3, 3) pointing down, its pads on a line at ``yaw``."""
    across, down = np.array([np.cos(yaw), np.sin(yaw), 0.0]), np.array([0.0, 0.0, -1.0])
    return np.stack([across, np.cross(down, across), down], axis=1)


def rotation_vector(rotation: Floats) -> Floats:
    """Axis times angle (3,) of a rotation matrix by less than half a turn."""
    axis = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    sine = np.linalg.norm(axis) / 2
    angle = np.arctan2(sine, (np.trace(rotation) - 1) / 2)
    return axis / 2 * (angle / sine if sine > 1e-6 else 1.0)


def limited(command: Floats) -> Floats:
    """The same direction, no component beyond 1."""
    return command / max(1.0, float(np.abs(command).max()))


def go(hand: Hand, position: Floats, rotation: Floats, grip: float, gain: float = GAIN) -> Floats:
    """The action (7,) that moves the hand towards a pose: straight as seen from above, slowing as it comes near."""
    move = gain * (position - hand.position) / FULL_M
    move = np.concatenate([limited(move[:2]), limited(move[2:])])
    turn = limited(gain * rotation_vector(rotation @ hand.rotation.T) / FULL_RAD)
    return np.concatenate([move, turn, [grip]])


def holds(hand: Hand, grasp: Grasp) -> bool:
    """The thing is between the pads and they have closed on it."""
    away = hand.rotation.T @ (grasp.position - hand.position)
    around = np.abs(away) < [0.4 * grasp.width_m, REACH_M, REACH_M]
    return bool(around.all()) and hand.opening_m < grasp.width_m + 0.003


def take(hand: Hand, grasp: Grasp, height_m: float = 0.06) -> Floats:
    """Come from above, no lower than ``height_m`` over the grasp until above it and open, go down, close.

    Above is where the hand comes from: behind its palm.
    """
    away = np.abs(hand.rotation.T @ (grasp.position - hand.position))
    error = np.abs(grasp.rotation.T @ rotation_vector(grasp.rotation @ hand.rotation.T))
    turned = float(error[2] + 0.5 * error[:2].max())
    closing = hand.opening_m < grasp.width_m + 0.03 and away[2] < REACH_M  # or a push would open them again
    slack = 1.5 if closing else 1.0
    if (away < np.array([0.015, 0.012, 0.012]) * slack).all() and turned < 0.25 * slack:
        return go(hand, grasp.position, grasp.rotation, CLOSE)
    narrow = max(0.0, grasp.width_m + ROOM_M - hand.opening_m)
    aside = max(away[0] - 0.013, away[1] - 0.01, 0.0)
    off = FUNNEL * aside + 0.2 * max(0.0, turned - 0.2) + 2 * narrow
    back, rise = -grasp.rotation[:, 2], min(height_m, off)
    from_it = hand.position - grasp.position
    level = from_it - (from_it @ back) * back
    far = float(np.linalg.norm(level))
    low = np.clip((rise - 0.01 - from_it @ back) / 0.02, 0, 1)  # then no nearer than the open fingers reach
    level *= min(1.0, KEEP_OFF_M * low / max(far, 1e-6))
    return go(hand, grasp.position + level + rise * back, grasp.rotation, OPEN)


def carry(hand: Hand, away: Floats, turn: float, over_m: float, gain: float = GAIN) -> Floats:
    """Bring what is held by ``away`` (3,) m and by ``turn``, to ``over_m`` above its place for now."""
    rise = away[2] + over_m
    clear = np.clip(1 - (rise - 0.015) / 0.02, 0, 1)  # no sideways motion while still too low
    target = hand.position + np.array([*(clear * away[:2]), rise])
    return go(hand, target, downwards(hand.yaw + turn), CLOSE, gain)


def place(hand: Hand, grasp: Grasp, away: Floats, over_m: float) -> Floats:
    """Take a thing, carry it by ``away`` (3,) m and over ``over_m`` above its place, let go, draw back."""
    aside = float(np.linalg.norm(away[:2]))
    if aside < 0.018 and abs(away[2]) < 0.01:  # fingers take steps to let go: begin a little above
        free = hand.opening_m > grasp.width_m + 0.01
        move = 0.05 * UP if free else away
        return go(hand, hand.position + move, downwards(hand.yaw), OPEN)
    if not holds(hand, grasp):
        return take(hand, grasp)
    return carry(hand, away, 0.0, min(over_m, FUNNEL * max(0.0, aside - 0.008)))
