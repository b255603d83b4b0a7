"""Scripted experts for tasks of robosuite 1.5 with one Panda: ``EXPERTS[task](env)`` is the action (7,) to take now.

Each expert is a pure function of the true state, in two halves: one reads the state from the environment, the other,
which knows no simulator, decides. Made for the default controller (OSC_POSE, deltas) at 20 Hz.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ._robosuite_motion import CLOSE, OPEN, Floats, Grasp, Hand, downwards, go, holds, nearest_yaw, take

QUARTER = np.pi / 2
FINGER_M, CLEAR_M = 0.05, 0.05  # from the middle of an open hand to a finger; from a finger to another thing's middle


def see_hand(env: Any) -> Hand:
    robot, data = env.robots[0], env.sim.data
    site = robot.eef_site_id["right"]
    left, right = (data.get_joint_qpos(joint) for joint in robot.gripper["right"].joints)
    rotation = np.array(data.site_xmat[site]).reshape(3, 3)
    return Hand(np.array(data.site_xpos[site]), rotation, float(left - right))


def see_body(env: Any, body: int) -> tuple[Floats, float]:
    """Where a body is (3,) m, and its yaw."""
    turned = env.sim.data.body_xmat[body].reshape(3, 3)
    return np.array(env.sim.data.body_xpos[body]), float(np.arctan2(turned[1, 0], turned[0, 0]))


def see_cube(env: Any, hand: Hand, cube: Any, body: int) -> Grasp:
    """The faces of a cube that the hand is nearest to."""
    position, yaw = see_body(env, body)
    return Grasp(position, nearest_yaw(yaw, hand.yaw, QUARTER), float(2 * cube.size[0]))


def beside(hand: Hand, cube: Grasp, other_m: Floats) -> Grasp:
    """The grasp of the cube turned by a quarter, where its fingers would come down on the ``other`` thing (3,) m."""

    def cost(yaw: float) -> float:
        finger = FINGER_M * np.array([np.cos(yaw), np.sin(yaw)])
        away = (other_m - cube.position)[:2]
        near = min(float(np.linalg.norm(away - finger)), float(np.linalg.norm(away + finger)))
        return abs(yaw - hand.yaw) + 100 * max(0.0, CLEAR_M - near)

    return cube._replace(yaw=min((cube.yaw, cube.yaw - QUARTER, cube.yaw + QUARTER), key=cost))


def lift(hand: Hand, cube: Grasp, table_m: float) -> Floats:
    """Take the cube and raise it by 10 cm."""
    if not holds(hand, cube):
        return take(hand, cube)
    target = hand.position + [0.0, 0.0, table_m + 0.12 - cube.position[2]]
    return go(hand, target, downwards(hand.yaw), CLOSE)


def stack(hand: Hand, cube: Grasp, base_m: Floats, rise_m: float) -> Floats:
    """Take the cube, carry it over the base, whose middle lies ``rise_m`` below where the cube's will be, let go."""
    away = base_m + [0.0, 0.0, rise_m] - cube.position
    aside, below = float(np.linalg.norm(away[:2])), float(away[2])
    if aside < 0.018 and -0.01 < below < 0.01:  # the fingers need steps to let go: begin a little above
        free = hand.opening_m > cube.width_m + 0.01
        move = np.array([0.0, 0.0, 0.05]) if free else away
        return go(hand, hand.position + move, downwards(hand.yaw), OPEN)
    if not holds(hand, cube):
        return take(hand, cube)
    return carry(hand, away, 0.03)


def carry(hand: Hand, away: Floats, over_m: float) -> Floats:
    """Bring what is held by ``away`` (3,) m: up to ``over_m`` above the place, aside, and down when above it."""
    aside = float(np.linalg.norm(away[:2]))
    rise = away[2] + min(over_m, 3 * max(0.0, aside - 0.008))
    clear = np.clip(1 - (rise - 0.015) / 0.02, 0, 1)  # no sideways motion while still too low
    target = hand.position + [*(clear * away[:2]), rise]
    return go(hand, target, downwards(hand.yaw), CLOSE)


def _lift(env: Any) -> Floats:
    hand = see_hand(env)
    return lift(hand, see_cube(env, hand, env.cube, env.cube_body_id), float(env.table_offset[2]))


def _stack(env: Any) -> Floats:
    hand = see_hand(env)
    base, _ = see_body(env, env.cubeB_body_id)
    cube = see_cube(env, hand, env.cubeA, env.cubeA_body_id)
    return stack(hand, beside(hand, cube, base), base, float(env.cubeA.size[2] + env.cubeB.size[2]))


EXPERTS: dict[str, Callable[[Any], Floats]] = {"Lift": _lift, "Stack": _stack}
