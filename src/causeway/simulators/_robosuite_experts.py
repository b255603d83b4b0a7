"""Scripted experts for tasks of robosuite 1.5 with one Panda: ``EXPERTS[task](env)`` is the action (7,) to take now.

Each is a pure function of the true state, in two halves: one reads the state from the environment, the other, which
knows no simulator, decides. Made for the default controller (OSC_POSE, deltas) at 20 Hz.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ._robosuite_motion import (
    CLOSE,
    REST_YAW,
    UP,
    Floats,
    Grasp,
    Hand,
    carry,
    downwards,
    go,
    holds,
    nearest_yaw,
    place,
    take,
)

QUARTER, HALF = np.pi / 2, np.pi
FINGER_M, CLEAR_M = 0.05, 0.05  # from the middle of an open hand to a finger; from a finger to another thing's middle
CAN_M, CAN_HELD_M = 0.05, 0.015  # across; above its middle, or the palm touches its top
CAN_OVER_M = 0.1  # above the floor of the bins, to pass their walls
BIN_ROOM_M = 0.07  # from the walls, for the open fingers
NUT_M, NUT_HELD_M = 0.032, 0.06  # across its handle; from its middle to where the handle is held
PEG_OVER_M = 0.155  # above the table, to pass the top of the peg
GENTLE = 1.2  # gain: what comes to the peg faster goes past it and lands on its edge
REACHED_M, TWISTED_RAD = 0.82, 2.0  # by the arm from its foot; by the wrist from rest
THREADED_M = -0.105  # the nut below the top of the peg
BAR_M, BAR_HELD_M = 0.06, 0.12  # across the handle of the door, held askew; from its axis to where it is held
UNLATCHED_RAD = 1.25  # of the handle, down: from there on the door comes
FULLY_DOWN_RAD = 1.55
LEAD_RAD = 0.25  # by how much the hand pulls ahead of the handle


class Handle(NamedTuple):
    """The handle of a door: it turns about an axis on the door, which turns about its hinge."""

    rotation: Floats  # (3, 3), columns: along the bar, the axis, up across the bar
    middle_m: Floats  # (3,), of the axis, level with the bar
    hinge_m: Floats  # (3,)
    down_rad: float


def lift(hand: Hand, cube: Grasp, rise_m: float) -> Floats:
    """Take the cube and raise it by ``rise_m`` from where it is now."""
    if not holds(hand, cube):
        return take(hand, cube)
    return go(hand, hand.position + rise_m * UP, downwards(hand.yaw), CLOSE)


def beside(hand: Hand, position: Floats, yaw: float, other_m: Floats) -> float:
    """The yaw to take a cube at: of its four the nearest to the hand's, unless a finger would meet the other cube."""

    def cost(yaw: float) -> float:
        finger, away = FINGER_M * np.array([np.cos(yaw), np.sin(yaw)]), (other_m - position)[:2]
        near = min(float(np.linalg.norm(away - finger)), float(np.linalg.norm(away + finger)))
        return abs(yaw - hand.yaw) + 100 * max(0.0, CLEAR_M - near)

    first = nearest_yaw(yaw, hand.yaw, QUARTER)
    return min((first, first - QUARTER, first + QUARTER), key=cost)


def assemble(hand: Hand, handle: Grasp, away: Floats, yaw: float, foot_m: Floats) -> Floats:
    """Take the nut at its handle and lower it over the peg, which is ``away`` (3,) m from its middle.

    Of the four ways the nut goes on, one with little turning and the hand near the robot's foot (3,) m.
    """
    if not holds(hand, handle):
        return take(hand, handle)

    middle = handle.position - NUT_HELD_M * np.array([np.cos(yaw), np.sin(yaw), 0.0])

    def effort(turn: float) -> float:
        twist = abs(hand.yaw + turn - REST_YAW)
        reach = float(np.linalg.norm((middle + away + turned(UP, turn) @ (hand.position - middle) - foot_m)[:2]))
        return abs(turn) + 0.3 * twist + 5 * reach + 10 * (reach > REACHED_M) + 10 * (twist > TWISTED_RAD)

    turn = nearest_yaw(0.0, yaw, QUARTER) - yaw
    turn = min((turn + quarters * QUARTER for quarters in (0, 1, -1, 2, -2)), key=effort)
    aside = float(np.linalg.norm(away[:2]))
    threaded = away[2] > THREADED_M and aside < 0.02
    off = 0.0 if threaded else 25 * max(0.0, float(np.abs(away[:2]).max()) - 0.006) + max(0.0, abs(turn) - 0.1)
    turning = hand.position - middle
    return carry(hand, away + turned(UP, turn) @ turning - turning, turn, min(PEG_OVER_M, off), GENTLE)


def swing(hand: Hand, handle: Handle) -> Floats:
    """Take the handle from the front, turn it down, pull the door open."""
    along, axis, up = handle.rotation.T
    held = handle.middle_m + BAR_HELD_M * along
    grasp = Grasp(held, np.stack([-up, np.cross(axis, -up), axis], axis=1), BAR_M)
    if not holds(hand, grasp):
        return take(hand, grasp, 0.12)
    down = turned(axis, min(LEAD_RAD, FULLY_DOWN_RAD - handle.down_rad))
    pull = turned(UP, 0.3 * np.clip((handle.down_rad - UNLATCHED_RAD) / 0.05 + 1, 0, 1))
    target = handle.hinge_m + pull @ (handle.middle_m - handle.hinge_m + BAR_HELD_M * down @ along)
    return go(hand, hand.position + target - held, pull @ down @ grasp.rotation, CLOSE)


def turned(axis: Floats, angle: float) -> Floats:
    """The rotation (3, 3) by ``angle`` about a unit axis (Rodrigues)."""
    x, y, z = axis
    cross: Floats = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: Floats = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return rotation


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


def _lift(env: Any) -> Floats:
    hand = see_hand(env)
    position, yaw = see_body(env, env.cube_body_id)
    cube = Grasp(position, downwards(nearest_yaw(yaw, hand.yaw, QUARTER)), 2 * max(env.cube.size[:2]))
    return lift(hand, cube, env.table_offset[2] + 0.12 - position[2])


def _stack(env: Any) -> Floats:
    hand = see_hand(env)
    position, yaw = see_body(env, env.cubeA_body_id)
    base, _ = see_body(env, env.cubeB_body_id)
    cube = Grasp(position, downwards(beside(hand, position, yaw, base)), 2 * env.cubeA.size[0])
    return place(hand, cube, base + (env.cubeA.size[2] + env.cubeB.size[2]) * UP - position, 0.03)


def _can(env: Any) -> Floats:
    hand = see_hand(env)
    position, _ = see_body(env, env.obj_body_id["Can"])
    corner = np.asarray(env.bin2_pos[:2])  # of its quarter of the bin
    spot = position[:2].clip(corner + BIN_ROOM_M, corner + np.asarray(env.bin_size[:2]) / 2 - BIN_ROOM_M)
    axis = env.sim.data.body_xmat[env.obj_body_id["Can"]].reshape(3, 3)[:, 2]
    stands = bool(abs(axis[2]) > 0.7)  # or was knocked over: then it is held across, at its middle
    yaw = nearest_yaw(REST_YAW if stands else QUARTER + float(np.arctan2(axis[1], axis[0])), hand.yaw, HALF)
    can = Grasp(position + CAN_HELD_M * stands * UP, downwards(yaw), CAN_M)
    height_m = env.bin2_pos[2] + (0.06 if stands else 0.08)  # one that hangs askew is dropped from a little higher
    return place(hand, can, np.array([*spot, height_m]) - position, CAN_OVER_M)


def _nut(env: Any) -> Floats:
    hand = see_hand(env)
    position, yaw = see_body(env, env.obj_body_id["SquareNut"])
    held = position + NUT_HELD_M * np.array([np.cos(yaw), np.sin(yaw), 0.0])
    handle = Grasp(held, downwards(nearest_yaw(yaw + QUARTER, hand.yaw, HALF)), NUT_M)
    peg = np.array([*env.sim.data.body_xpos[env.peg1_body_id][:2], env.table_offset[2] + 0.015])
    return assemble(hand, handle, peg - position, yaw, np.asarray(env.robots[0].base_pos))


def _door(env: Any) -> Floats:
    data, model = env.sim.data, env.sim.model
    hinge, latch = (model.joint_name2id(joint) for joint in env.door.joints[:2])
    rotation = np.array(data.body_xmat[env.object_body_ids["latch"]]).reshape(3, 3)
    bar = np.array(data.site_xpos[env.door_handle_site_id])
    middle = bar - rotation[:, 0] * (rotation[:, 0] @ (bar - data.xanchor[latch]))
    down = float(data.qpos[env.handle_qpos_addr])
    return swing(see_hand(env), Handle(rotation, middle, np.array(data.xanchor[hinge]), down))


EXPERTS: dict[str, Callable[[Any], Floats]] = {
    "Lift": _lift,
    "Stack": _stack,
    "PickPlaceCan": _can,
    "NutAssemblySquare": _nut,
    "Door": _door,
}
