"""The experts' decisions from hand-made states; and, where robosuite is, whether they do the tasks."""

import numpy as np
import pytest

from causeway.simulators import _robosuite_experts as experts
from causeway.simulators import _robosuite_motion as motion
from causeway.simulators._robosuite_motion import Grasp, Hand, downwards
from causeway.simulators._robosuite_world import World
from causeway.simulators.robosuite import Config

THERE = np.array([0.1, 0.0, 0.82])
CUBE = Grasp(THERE, downwards(motion.REST_YAW), 0.04)
EPISODES, LIMITS = 20, {"Lift": 80, "Stack": 120, "PickPlaceCan": 180, "Door": 140, "NutAssemblySquare": 220}


def hand(away=(0.0, 0.0, 0.0), opening=0.078, yaw=motion.REST_YAW):
    return Hand(THERE + away, downwards(yaw), opening)


def test_the_hand_down_has_its_pads_on_the_line_of_the_yaw():
    rotation = downwards(0.3)
    np.testing.assert_allclose(rotation[:, 0], [np.cos(0.3), np.sin(0.3), 0])
    np.testing.assert_allclose(rotation[:, 2], [0, 0, -1])
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert hand(yaw=0.3).yaw == pytest.approx(0.3)
    assert hand(yaw=-1.4).yaw == pytest.approx(-1.4)  # within half a turn of rest


@pytest.mark.parametrize(("yaw", "expected"), [(0.2, np.pi / 2 + 0.2), (0.8, 0.8), (-3.0, np.pi - 3 + np.pi / 2)])
def test_of_equal_yaws_the_nearest_is_chosen(yaw, expected):
    assert motion.nearest_yaw(yaw, motion.REST_YAW, np.pi / 2) == pytest.approx(expected)


@pytest.mark.parametrize("axis", np.eye(3))
def test_the_rotation_vector_undoes_the_rotation(axis):
    for angle in (-2.0, -1e-9, 0.0, 0.4, 3.0):
        np.testing.assert_allclose(motion.rotation_vector(experts.turned(axis, angle)), angle * axis, atol=1e-9)
    np.testing.assert_allclose(experts.turned(np.eye(3)[2], np.pi / 2) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_far_the_command_is_full_and_keeps_its_direction_near_it_is_in_proportion():
    far = motion.go(hand(), THERE + np.array([0.4, -0.2, 0.3]), downwards(motion.REST_YAW), 1.0)
    np.testing.assert_allclose(far, [1, -0.5, 1, 0, 0, 0, 1], atol=1e-12)
    near = motion.go(hand(), THERE + np.array([0.01, 0, -0.005]), downwards(motion.REST_YAW + 0.1), -1.0)
    gain = motion.GAIN
    np.testing.assert_allclose(near, [gain * 0.2, 0, -gain * 0.1, 0, 0, gain * 0.2, -1], atol=1e-12)


def test_aside_of_the_thing_the_hand_stays_above_it_open():
    action = motion.take(hand(away=(0.0, 0.08, 0.06)), CUBE)
    assert action[1] == -1 and action[2] == pytest.approx(0) and action[6] == motion.OPEN
    down = motion.take(hand(away=(0.0, 0.004, 0.06)), CUBE)
    assert down[2] == -1 and down[6] == motion.OPEN


def test_too_low_to_pass_over_it_the_hand_rises_and_keeps_off():
    action = motion.take(hand(away=(0.0, 0.08, 0.0)), CUBE)
    np.testing.assert_allclose(action[:3], [0, 0, 1], atol=1e-12)


def test_the_fingers_wait_above_until_they_are_wide_enough():
    assert motion.take(hand(away=(0, 0, 0.02), opening=0.042), CUBE)[2] == pytest.approx(0)
    assert motion.take(hand(away=(0, 0, 0.02), opening=0.06), CUBE)[2] < -0.5


@pytest.mark.parametrize(
    ("state", "grip"),
    [
        ({}, motion.CLOSE),
        ({"away": (0, 0, 0.015)}, motion.OPEN),
        ({"away": (0, 0, 0.015), "opening": 0.05}, motion.CLOSE),  # pushed while closing
        ({"away": (0.015, 0, 0)}, motion.OPEN),
        ({"away": (0, 0.014, 0)}, motion.CLOSE),  # the fingers will pull it in
        ({"yaw": motion.REST_YAW + 0.3}, motion.OPEN),
    ],
)
def test_the_fingers_close_when_the_thing_is_between_them(state, grip):
    assert motion.take(hand(**state), CUBE)[6] == grip


def test_it_is_held_when_the_fingers_have_closed_on_it():
    assert motion.holds(hand(opening=0.041), CUBE)
    assert not motion.holds(hand(opening=0.05), CUBE)
    assert not motion.holds(hand(away=(0, 0, 0.03), opening=0.041), CUBE)
    assert not motion.holds(hand(away=(0, 0.02, 0), opening=0.0), CUBE)


def test_the_cube_goes_up_only_once_it_is_held():
    np.testing.assert_allclose(experts.lift(hand(opening=0.04), CUBE, 0.1), [0, 0, 1, 0, 0, 0, 1], atol=1e-12)
    assert experts.lift(hand(), CUBE, 0.1)[2] == pytest.approx(0)


def test_what_is_held_goes_up_then_aside_then_down_and_is_let_go():
    low, high = np.array([0.2, 0, 0.04]), np.array([0.2, 0, -0.03])
    held = hand(opening=0.04)
    np.testing.assert_allclose(motion.place(held, CUBE, low, 0.03)[:3], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(motion.place(held, CUBE, high, 0.03)[:3], [1, 0, 0], atol=1e-12)
    down = motion.place(held, CUBE, np.array([0.005, 0, -0.03]), 0.03)
    assert down[2] == -1 and down[6] == motion.CLOSE
    assert motion.place(held, CUBE, np.zeros(3), 0.03)[6] == motion.OPEN
    freed = motion.place(hand(opening=0.06), CUBE, np.zeros(3), 0.03)
    np.testing.assert_allclose(freed, [0, 0, 1, 0, 0, 0, motion.OPEN], atol=1e-12)


def test_no_finger_comes_down_on_the_other_cube():
    alone, rest = np.array([1.0, 1.0, 0.0]), motion.REST_YAW
    assert experts.beside(hand(), THERE, 0.1, alone) == pytest.approx(rest + 0.1)
    assert experts.beside(hand(), THERE, 0.1, THERE + np.array([0, 0.065, 0])) == pytest.approx(0.1)


def test_the_nut_turns_the_short_way_unless_the_hand_would_have_to_reach_too_far():
    foot, held = np.array([-0.56, 0, 0.9]), hand(opening=0.031)

    def turn(yaw):
        middle = THERE - experts.NUT_HELD_M * np.array([np.cos(yaw), np.sin(yaw), 0])
        away = np.array([0.23, 0.1, 0.835]) - middle + [0, 0, 0.155]
        return experts.assemble(held, Grasp(THERE, downwards(motion.REST_YAW), 0.032), away, yaw, foot)[5]

    assert turn(np.pi - 0.2) == pytest.approx(experts.GENTLE * 0.2 / 0.5)
    assert abs(turn(0.0)) == 1  # its handle would point away from the robot


def handle(down):
    axis, middle = np.array([0.0, -1.0, 0.0]), np.array([0.0, -0.25, 1.07])
    along = experts.turned(axis, down) @ [-1.0, 0.0, 0.0]
    rotation = np.stack([along, axis, np.cross(along, axis)], axis=1)
    return experts.Handle(rotation, middle, middle - np.array([0.43, 0.1, 0]), down)


def on(bar):
    along, axis, up = bar.rotation.T
    rotation = np.stack([-up, np.cross(axis, -up), axis], axis=1)
    return Hand(bar.middle_m + experts.BAR_HELD_M * along, rotation, 0.043)


def test_the_handle_is_turned_down_before_the_door_is_pulled():
    latched = experts.swing(on(handle(0.0)), handle(0.0))
    assert latched[2] < -0.9 and abs(latched[1]) < 0.01 and latched[6] == motion.CLOSE
    pulled = experts.swing(on(handle(1.4)), handle(1.4))
    assert pulled[1] == 1 and pulled[6] == motion.CLOSE


@pytest.mark.optional
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", experts.EXPERTS)
def test_the_expert_does_its_task(task):
    robosuite = pytest.importorskip("robosuite")
    blind = {"has_renderer": False, "has_offscreen_renderer": False, "use_camera_obs": False}
    env = robosuite.make(task, robots="Panda", control_freq=20, ignore_done=True, hard_reset=False, seed=0, **blind)
    done = 0
    for seed in range(EPISODES):
        env.rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state  # all samplers share this one
        env.reset()
        for _ in range(LIMITS[task]):
            env.step(experts.EXPERTS[task](env))
            if env._check_success():
                done += 1
                break
    assert done >= 19


@pytest.mark.optional
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [2, 11, 91])
def test_a_nut_does_not_go_past_the_peg_and_land_on_its_edge(seed):
    pytest.importorskip("robosuite")
    config = Config(task="NutAssemblySquare")
    world = World(config, config.settings())
    moment = world.begin(seed)
    while not moment.end:
        moment = world.step(world.expert())
    assert moment.end == "completed"
