"""The robosuite worlds: their settings without robosuite, and themselves where it is installed."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from causeway import config
from causeway.errors import ConfigError, MissingExtra
from causeway.simulators import _robosuite_eye as eye
from causeway.simulators import robosuite
from causeway.simulators._robosuite_presets import PRESETS, Camera, Dynamics, Look
from causeway.simulators._robosuite_world import World
from causeway.simulators.robosuite import Config


def test_a_setting_that_cannot_be_is_refused() -> None:
    for wrong in ({"height": 4}, {"processes": 0}, {"cameras": ()}, {"limit_s": -1.0}):
        with pytest.raises(ConfigError, match="needs pictures of 8 pixels or more"):
            Config(**wrong)  # type: ignore[arg-type]
    for wrong in ({"rate_hz": 0.0}, {"rate_hz": 50.0, "controller_hz": 20.0}, {"controller_hz": 600.0}):
        with pytest.raises(ConfigError, match="needs 0 < rate_hz <= controller_hz <= 500"):
            Config(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="rate_hz must divide the 500 Hz of the physics, not be 30"):
        Config(rate_hz=30.0)
    with pytest.raises(ConfigError, match="controller_hz must divide"):
        Config(controller_hz=300.0)
    with pytest.raises(ConfigError, match=r"dynamics.delay_s = 0.05 is no whole number of steps of 0.1 s"):
        Config(preset="target", rate_hz=10.0)
    for part in (Look, Dynamics):
        for name in part.__dataclass_fields__.keys() - {"lamp_left_m", "warmth", "shadows"}:
            with pytest.raises(ConfigError, match=f"{name} must"):
                part(**{name: (-1.0,) * 3 if name in ("surface", "floor", "wall", "object", "robot") else -1.0})


def test_parts_of_a_preset_are_replaced_by_name_or_by_number() -> None:
    table = {"name": "robosuite", "preset": "target", "look": "source", "dynamics": {"gain": 0.5}}
    look, camera, dynamics = config.component("simulator", table).settings()
    assert look == Look() and camera == PRESETS["target"].camera and dynamics == Dynamics(gain=0.5)


def test_what_is_missing_is_named_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robosuite, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r'pip install -e "\.\[robosuite\]"'):
        Config().build(1)
    monkeypatch.setattr(robosuite, "find_spec", lambda name: True)
    monkeypatch.setattr(eye, "find_library", lambda name: None)
    with pytest.raises(ConfigError, match=r"gl = 'egl': there is no such library\. Install Debian's libegl1 "):
        Config().build(1)
    with pytest.raises(ConfigError, match="Install Debian's libosmesa6, or set gl = 'egl', which needs libegl1"):
        Config(gl="osmesa").build(1)


def test_a_plain_sensor_changes_nothing_and_a_poor_one_keeps_grey_grey_on_average() -> None:
    grey = np.full((2, 8, 8, 3), 100, np.uint8)
    assert eye._sensed(grey, Look(), np.random.default_rng(0)) is grey
    poor = eye._sensed(grey, Look(exposure=1.2, warmth=0.1, blur=1.0), np.random.default_rng(0))
    assert (poor[0, 3, 3] == [132, 120, 108]).all(), "100 times 1.2, and 1.1, 1, .9 of it"
    edge = np.zeros((1, 8, 100, 3), np.uint8)
    edge[:, :, 50:] = 240
    soft = eye._sensed(edge, Look(blur=100 / 8), np.random.default_rng(0))[0, 0, 48:52, 0]
    assert soft.tolist() == [0, 60, 180, 240], "the kernel is (1, 2, 1) / 4"


# --- where robosuite is installed --------------------------------------------------------------------------------


@pytest.fixture
def worlds() -> Iterator[Callable[..., Any]]:
    pytest.importorskip("robosuite")
    made = []

    def build(count: int = 1, **settings: Any) -> Any:
        found = replace(Config(height=32, width=48), **settings).build(count)
        made.append(found)
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield build
        for one in made:
            one.close()


optional = pytest.mark.optional


@optional
def test_an_episode_is_a_function_of_its_seed(worlds: Callable[..., Any]) -> None:
    two = worlds(2)
    seen, info = two.reset(seed=[3, 3])
    assert two.observation_space["state"].contains(seen["state"]) and seen["images"].shape == (2, 2, 3, 32, 48)
    assert np.array_equal(seen["images"][0], seen["images"][1]) and info["end"].tolist() == ["", ""]
    for _ in range(5):
        seen, *_ = two.step(two.expert())
    assert np.array_equal(seen["state"][0], seen["state"][1])
    first = seen["state"][0]
    two.reset(seed=[4, 3], options={"reset_mask": np.array([False, True])})
    for _ in range(5):
        command = two.expert()
        command[0] = 0
        seen, *_ = two.step(command)
    assert np.array_equal(seen["state"][1], first), "whatever the world did before"
    other, _ = two.reset(seed=[5, 6])
    assert not np.array_equal(other["images"][0], other["images"][1])


@optional
def test_pictures_are_made_when_they_are_asked_for(worlds: Callable[..., Any]) -> None:
    one = worlds()
    seen, _ = one.reset(seed=[1])
    assert "images" not in seen and "images" in dict(seen, images=seen["images"])
    with pytest.raises(KeyError):
        seen["depth"]
    shown = one.render()
    assert shown.shape == (1, 128, 384, 3) and shown.std() > 10


@optional
def test_only_the_worlds_asked_for_are_pictured(worlds: Callable[..., Any]) -> None:
    two = worlds(2)
    first = two.reset(seed=[1, 2])[0]["images"]
    seen = two.step(np.ones((2, 7), np.float32))[0]
    shown, clouds = seen.of(np.array([True, False]))
    assert clouds is None and not np.array_equal(shown[0], first[0]) and np.array_equal(shown[1], first[1])
    assert not np.array_equal(seen["images"][1], first[1]), "all of them are"


@optional
def test_a_cloud_is_what_stands_on_the_table_in_the_frame_of_the_robots_base(worlds: Callable[..., Any]) -> None:
    two = worlds(2, depth=True, height=64, width=64, points=200, cameras=("agentview", "frontview"))
    seen, _ = two.reset(seed=[1, 2])
    assert two.points == 200 and "points" not in seen and seen["images"].shape[0] == 2
    for world, cloud in enumerate(seen["points"]):
        two.remotes[world].ask("place")
        thing = two.remotes[world].answer() - [-0.56, 0, 0.912]  # the robot's base
        nearest = np.linalg.norm(cloud - thing, axis=1).min()
        assert nearest < 0.035, "on the cube, which is 4 cm wide"
        low = cloud[cloud[:, 2] < -0.03]
        assert np.linalg.norm(low[:, :2] - thing[:2], axis=1).max() < 0.05, "and nothing else lies on the table"


@optional
def test_a_start_is_where_it_was_asked_for(worlds: Callable[..., Any]) -> None:
    for start, uncovered in (("covered", [0, 0]), ("uncovered", [1, 1])):
        two = worlds(2, start=start)
        assert two.reset(seed=[1, 2])[1]["signal_uncovered"].tolist() == uncovered
    _, info = (many := worlds(2)).reset(seed=[1, 2])
    both = set(info["signal_uncovered"]) | set(many.reset(seed=[3, 4])[1]["signal_uncovered"])
    assert both == {0, 1}


@optional
def test_each_number_of_the_dynamics_and_cameras_does_what_it_says(worlds: Callable[..., Any]) -> None:
    plain, loose = (World(c, c.settings()) for c in (Config(), Config(dynamics=Dynamics(0.5, 0.1, 2.0, 0.6, 3.0))))
    thing, arm = plain.sim.model.body_name2id("cube_main"), plain.robot._ref_joint_vel_indexes
    for name, index, times in (("body_mass", thing, 2), ("geom_friction", (0, 0), 0.6), ("dof_damping", arm, 3)):
        was, now = (np.asarray(getattr(world.model, name)[index]) for world in (plain, loose))
        assert np.allclose(now, times * was) and (was > 0).all()
    assert np.allclose(loose.model.body_invweight0[thing], plain.model.body_invweight0[thing] / 2, rtol=0.01)
    ahead, moved = np.eye(7, dtype=np.float32)[0], []
    for world in (plain, loose):
        start = world.begin(1).state[0]
        moved.append([world.step(ahead).state[0] - start for _ in range(6)])
    assert abs(moved[1][1]) < 0.001 < moved[0][1], "two steps of delay"
    assert moved[1][5] - moved[1][4] < 0.8 * (moved[0][5] - moved[0][4]), "and half of the gain"
    shifted = Config(camera=Camera(0.1, 0.2, 0.3, view_rad=0.1))
    seen = World(shifted, shifted.settings())
    room, wrist = (plain.model.camera(name).id for name in shifted.cameras)
    assert np.allclose(seen.model.cam_pos[room] - plain.model.cam_pos[room], (0.1, 0.2, 0.3))
    assert np.isclose(seen.model.cam_fovy[room] - plain.model.cam_fovy[room], np.rad2deg(0.1))
    assert np.array_equal(seen.model.cam_pos[wrist], plain.model.cam_pos[wrist]), "it rides on the arm"


@optional
def test_noise_is_of_the_step_whoever_looks_and_however_often(worlds: Callable[..., Any]) -> None:
    two = worlds(2, preset="target", depth=True)
    seen, _ = two.reset(seed=[3, 3])
    two.remotes[0].ask("show")
    two.remotes[0].answer()
    assert np.array_equal(seen["images"][0], seen["images"][1]) and np.array_equal(*seen["points"])
    first = seen["images"]
    seen, *_ = two.step(np.zeros((2, 7), np.float32))
    assert not np.array_equal(seen["images"], first)
    with pytest.raises(ValueError, match="the worlds have moved on"):
        two.reset(seed=[3, 3])
        seen = two._observation()
        two.step(np.zeros((2, 7), np.float32))
        seen["images"]


@optional
def test_the_target_looks_unlike_the_source(worlds: Callable[..., Any]) -> None:
    views = [worlds(preset=preset).reset(seed=[1])[0]["images"].astype(float) for preset in ("source", "target")]
    assert abs(views[0] - views[1]).mean() > 10


@optional
def test_a_camera_that_is_not_there_is_refused_at_once(worlds: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"there is no camera 'agentvew'\. Did you mean 'agentview'"):
        worlds(cameras=("agentvew",)).reset(seed=[1])


@optional
def test_a_thing_that_has_fallen_off_the_table_is_lost(worlds: Callable[..., Any]) -> None:
    one = World(Config(), Config().settings())
    one.begin(1)
    one.data.qpos[one.sim.model.get_joint_qpos_addr("cube_joint0")[0]] += 1.0  # beyond the edge
    ends = [one.step(np.zeros(7, np.float32)).end for _ in range(20)]
    assert ends[-1] == "lost" and ends[0] == ""


@optional
def test_a_world_that_dies_rests_until_it_is_reset(worlds: Callable[..., Any]) -> None:
    two = worlds(2)
    two.reset(seed=[1, 2])
    two.remotes[0].process.kill()
    two.remotes[0].process.join()
    _, _, _, _, info = two.step(np.zeros((2, 7), np.float32))
    assert info["error"].tolist() == ["its process ended with code -9", ""]
    _, info = two.reset(seed=[1, 2], options={"reset_mask": np.array([True, False])})
    assert info["error"].tolist() == ["", ""]


@optional
def test_collected_demonstrations_train_a_policy_that_is_driven(worlds: Callable[..., Any], tmp_path: Path) -> None:
    from causeway.cli import app

    data = tmp_path / "data"
    for preset in ("source", "target"):
        settings = [f"preset={preset}", "height=16", "width=16", 'cameras=["agentview"]']
        app(
            ["collect", "robosuite", str(data / preset), *settings, "--episodes", "3", "--noise", "0"],
            standalone_mode=False,
        )
    file = tmp_path / "one.toml"
    file.write_text(
        """
        picture = { height = 16, width = 16 }
        horizon = 4
        execute = 2
        method = { name = "imitation", policy = { name = "cnn", channels = [4, 4] }, batch = 8 }
        train = { steps = 2, accelerator = "cpu", threads = 1 }
        evaluate = { episodes = 3, worlds = 2 }
        source = { dataset = { name = "lerobot", root = "{data}/source" }, tune = 0.0 }
        [target]
        dataset = { name = "lerobot", root = "{data}/target" }
        tune = 0.0
        [target.simulator]
        name = "robosuite"
        preset = "target"
        height = 16
        width = 16
        cameras = ["agentview"]
        limit_s = 0.5
        """
    )
    app(["train", str(file), "--data", str(data), "--folder", str(tmp_path / "run")], standalone_mode=False)
    from causeway import run

    traces = run.open_run(tmp_path / "run").traces
    assert [trace.end for trace in traces] == ["timeout"] * 3 and [len(t.actions) for t in traces] == [10] * 3
