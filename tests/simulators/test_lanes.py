"""The worlds of `lanes` as gymnasium sees them: episodes, seeds, endings, truth."""

from dataclasses import fields, replace

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from causeway import config
from causeway.errors import ConfigError
from causeway.simulators.lanes import PRESETS, Config, Look, Randomized

FORWARD, LEFT, RIGHT, BRAKE = (np.float32([a]) for a in ((0, 0.6), (-1, 0.5), (1, 0.5), (0, -1)))
EMPTY = Config(cars=0, oncoming=0, cones=0)


def drive(worlds, seconds, action=None):
    """Drive until all worlds have ended or the time is up; the last step's answer."""
    for _ in range(int(seconds * worlds.rate_hz)):
        moves = worlds.expert() if action is None else np.repeat(action, worlds.num_envs, axis=0)
        answer = worlds.step(moves)
        assert {*answer[4]["end"].tolist()} <= {"", *worlds.ends}
        if (answer[2] | answer[3]).all():
            break
    return answer


@pytest.mark.parametrize("preset", ["source", "target"])
def test_gymnasium_finds_nothing_wrong(preset):
    check_env(Config(preset=preset).single(), skip_render_check=True)  # that check is for registered environments


def test_a_batch_observes_what_its_spaces_say():
    worlds = Config(height=32, width=48).build(2)
    observation, _ = worlds.reset(seed=0)
    assert observation["images"].shape == (2, 1, 3, 32, 48)
    assert worlds.observation_space.contains(observation)
    assert worlds.observation_space.contains(worlds.step(worlds.expert())[0])


@pytest.mark.parametrize("randomize", [0.0, 1.0])
def test_an_episode_is_the_same_in_any_company(randomize):
    setting = Config(preset="source" if randomize else "target", cars=2, cones=20, randomize=randomize)
    alone, many = [setting.build(1) for _ in range(8)], setting.build(8, seed=9)
    for world, one in enumerate(alone):
        one.reset(seed=[100 + world])
    many.reset(seed=0)
    many.step(np.repeat(LEFT, 8, axis=0))
    many.reset(seed=[*range(100, 104), None, None, None, None], options={"reset_mask": np.arange(8) < 4})
    many.reset(seed=[*[None] * 4, *range(104, 108)], options={"reset_mask": np.arange(8) >= 4})
    for _ in range(15):
        moves = many.expert()
        together = many.step(moves)
        for world, one in enumerate(alone):
            single = one.step(moves[world : world + 1])
            np.testing.assert_array_equal(single[0]["images"][0], together[0]["images"][world])
            assert single[0]["state"][0] == together[0]["state"][world]
            assert single[1][0] == together[1][world]


def test_a_mask_leaves_the_other_worlds_alone():
    worlds = EMPTY.build(2)
    worlds.reset(seed=0)
    before = worlds.step(np.repeat(FORWARD, 2, axis=0))[0]["images"]
    after = worlds.reset(options={"reset_mask": np.array([True, False])})[0]["images"]
    assert (before[0] != after[0]).any()
    np.testing.assert_array_equal(before[1], after[1])


def test_without_a_seed_each_reset_begins_another_episode_and_the_build_seed_repeats_them():
    one, two = EMPTY.build(1, seed=3), EMPTY.build(1, seed=3)
    first, second = one.reset()[0]["images"], one.reset()[0]["images"]
    assert (first != second).any()
    np.testing.assert_array_equal(first, two.reset()[0]["images"])
    np.testing.assert_array_equal(second, two.reset()[0]["images"])
    assert (first != EMPTY.build(1, seed=4).reset()[0]["images"]).any()


@pytest.mark.parametrize("preset", ["source", "target"])
def test_the_expert_completes_among_cars(preset):
    worlds = Config(preset=preset, route_m=50).build(12)
    worlds.reset(seed=500)
    infos = drive(worlds, 30)[4]
    assert infos["end"].tolist() == ["completed"] * 12
    assert (infos["completion"] == 1).all()


def test_the_expert_stops_for_a_standing_car():
    worlds = Config(cars=1, oncoming=0, cones=0).build(1)
    worlds.reset(seed=3)
    worlds.traffic.wish[:] = 1e-6
    worlds.traffic.speed[:] = 0
    _, _, ended, cut, infos = drive(worlds, 16)
    assert not ended[0] and not cut[0]  # waiting behind a car is not being stuck
    assert infos["signal_speed_mps"][0] < 0.1
    assert 1 < infos["signal_lead_distance_m"][0] < 8


def test_episodes_end_by_leaving_the_road():
    worlds = EMPTY.build(1)
    worlds.reset(seed=0)
    _, _, ended, cut, infos = drive(worlds, 10, RIGHT)
    assert infos["end"][0] == "off_road" and ended[0] and not cut[0]
    assert infos["signal_lane_offset_m"][0] < 0  # to the right of the lane


def test_episodes_end_by_collision():
    worlds = Config(cars=1, oncoming=0, cones=0).build(1)
    worlds.reset(seed=3)
    worlds.traffic.wish[:] = 1e-6
    worlds.traffic.speed[:] = 0
    for _ in range(300):
        move = worlds.expert()
        move[:, 1] = 0.5  # steers like the expert, never brakes
        *_, ended, _, infos = worlds.step(move)
        if ended[0]:
            break
    assert infos["end"][0] == "collision"
    assert infos["signal_lead_distance_m"][0] < 0.5


def test_episodes_end_by_being_stuck_and_by_time():
    worlds = EMPTY.build(1)
    worlds.reset(seed=0)
    _, _, ended, cut, infos = drive(worlds, 10, BRAKE)
    assert infos["end"][0] == "stuck" and ended[0] and not cut[0]
    worlds = replace(EMPTY, limit_s=1.0).build(1)
    worlds.reset(seed=0)
    _, _, ended, cut, infos = drive(worlds, 2)
    assert infos["end"][0] == "timeout" and cut[0] and not ended[0]


def test_a_lap_can_be_the_route():
    worlds = replace(EMPTY, route_m=0.0, limit_s=90.0, height=2, width=2, rate_hz=10.0).build(1)
    worlds.reset(seed=1)
    assert drive(worlds, 90)[4]["end"][0] == "completed"
    assert worlds.progress[0] >= worlds.roads.lap[0] > 200


def test_a_finished_world_stays_as_it_is():
    worlds = replace(EMPTY, preset="target").build(1)  # whose noise must stand still too
    worlds.reset(seed=0)
    last = drive(worlds, 10, RIGHT)
    again = worlds.step(FORWARD)
    np.testing.assert_array_equal(last[0]["images"], again[0]["images"])
    assert again[1][0] == 0 and again[2][0] and again[4]["end"][0] == "off_road"


def test_reward_is_the_progress_less_a_tenth_of_the_offset():
    worlds = EMPTY.build(3)
    worlds.reset(seed=0)
    before = worlds.progress.clone()
    _, reward, _, _, infos = worlds.step(worlds.expert())
    gain = (worlds.progress - before).numpy()
    np.testing.assert_allclose(reward, gain - 0.1 * np.abs(infos["signal_lane_offset_m"]), atol=1e-6)
    np.testing.assert_allclose(gain, infos["signal_speed_mps"] / 20, atol=0.08)


def test_segmentation_agrees_with_depth_and_objects_hide_what_is_behind_them():
    setting = Config(cars=3, oncoming=3, cones=30)
    worlds, bare = setting.build(6), setting.build(6)
    worlds.reset(seed=20)
    bare.reset(seed=20)
    bare.eye.place[:] = worlds.eye.place
    bare.traffic.along[:] = worlds.traffic.along
    truth = worlds.truth()
    bare._cars = lambda: worlds._cars() + 1e4  # the same worlds with all objects out of sight
    bare._cones = lambda: worlds._cones() + 1e4
    empty = bare.truth()
    things = truth.segmentation >= 5
    assert things.any(axis=(1, 2)).all()
    assert np.isinf(truth.depth[truth.segmentation == 0]).all()
    assert np.isfinite(truth.depth[truth.segmentation != 0]).all()
    assert (truth.depth[things] < empty.depth[things] + 1e-3).all()
    np.testing.assert_array_equal(truth.depth[~things], empty.depth[~things])
    np.testing.assert_array_equal(truth.segmentation[~things], empty.segmentation[~things])


def test_birds_eye_view_shows_the_road_under_us_and_the_car_ahead():
    worlds = Config(cars=1, oncoming=0, cones=0).build(4)
    worlds.reset(seed=0)
    worlds.traffic.along[:] = worlds.spot.along[:, None] + 12
    view = worlds.truth().birds_eye
    assert (view[:, 0, 55, 32] == 255).all()  # half a metre ahead of the rear axle
    row = int(64 - (12 + 4) / 0.5)  # 12 m ahead, bends notwithstanding
    assert (view[:, 2, row - 2 : row + 3, 20:44] == 255).any(axis=(1, 2)).all()
    assert (view[:, 2, 50:] == 0).all()


def test_presets_differ_in_every_way_that_is_published():
    source, target = PRESETS["source"], PRESETS["target"]
    same = [f.name for f in fields(Look) if getattr(source.look, f.name) == getattr(target.look, f.name)]
    assert not same
    pictures = []
    for preset in ("source", "target"):
        worlds = Config(preset=preset).build(1)
        pictures.append(worlds.reset(seed=4)[0]["images"].astype(float))
    assert np.abs(pictures[0] - pictures[1]).mean() > 20


def test_presets_change_neither_the_track_nor_the_traffic():
    worlds = [Config(preset=preset).build(1) for preset in ("source", "target")]
    for world in worlds:
        world.reset(seed=4)
    np.testing.assert_array_equal(worlds[0].roads.position, worlds[1].roads.position)
    np.testing.assert_array_equal(worlds[0].traffic.along, worlds[1].traffic.along)


def test_randomization_varies_with_the_seed_and_repeats_for_it():
    worlds = Randomized(EMPTY.build(3), amount=1.0)
    seen, _ = worlds.reset(seed=[7, 8, 7])
    looks = worlds.unwrapped.presets
    assert looks[0] == looks[2] != looks[1]
    assert looks[0].look.asphalt != looks[1].look.asphalt
    assert looks[0].dynamics.lag_s != looks[1].dynamics.lag_s
    np.testing.assert_array_equal(seen["images"][0], seen["images"][2])
    same, _ = replace(EMPTY, randomize=1.0).build(1).reset(seed=[7])
    np.testing.assert_array_equal(seen["images"][0], same["images"][0])


def test_pictures_for_people_are_larger():
    worlds = Config(height=16, width=24).build(2)
    worlds.reset(seed=0)
    picture = worlds.render()
    assert picture.shape == (2, 64, 96 + 64, 3) and picture.dtype == np.uint8


def test_settings_come_from_a_table_and_go_back_into_one():
    table = {"name": "lanes", "preset": "target", "dynamics": "source", "look": {"noise": 0.2}}
    made = config.component("simulator", table)
    assert made.settings().camera == PRESETS["target"].camera
    assert made.settings().dynamics == PRESETS["source"].dynamics
    assert made.settings().look == Look(noise=0.2)
    assert config.structure(Config, config.dump(made), "simulator") == made
    with pytest.raises(ConfigError, match="'height' must be more than 0"):
        Config(height=0)
