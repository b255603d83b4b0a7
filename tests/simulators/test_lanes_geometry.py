"""Hand-worked geometry of `lanes`: rays, roads, the bicycle, and what hides what."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from causeway.simulators import _lanes_track as tracks
from causeway.simulators._lanes_boxes import assemble, cast
from causeway.simulators._lanes_presets import SOURCE, Camera, Dynamics, Look, stack
from causeway.simulators._lanes_render import Eye, Scene
from causeway.simulators._lanes_road import Roads
from causeway.simulators._lanes_traffic import collides
from causeway.simulators._lanes_vehicle import Vehicles

CPU = torch.device("cpu")
NONE = torch.zeros(1, 0, 3)


def eye(camera, height=65, width=97):
    made = Eye(1, height, width, CPU)
    made.aim([0], [camera])
    made.settle(stack([Look()], CPU))
    return made


def straight_road(left_m=0.0, cars=NONE):
    """A scene on an endless straight road along x, our car `left_m` of its centreline."""
    line = torch.linspace(-100, 100, tracks.MAP)
    aside = line[:, None].expand(tracks.MAP, tracks.MAP)
    layers = torch.stack([aside, torch.ones_like(aside), torch.zeros_like(aside)])[None]
    zero = torch.zeros(1)
    ego = torch.tensor([[0.0, left_m, 0.0]])
    paint, cones = torch.ones(1, cars.shape[1], 3), torch.zeros(1, 0, 2)
    look = stack([Look()], CPU)
    half = torch.full((1,), 100.0)
    frame = torch.zeros(1, dtype=torch.long)
    return Scene(layers, torch.zeros(1, 2), half, ego, zero, zero, cars, paint, cones, frame, look, 3.5, 0.05)


def test_the_middle_ray_meets_the_ground_at_height_over_tangent_of_the_pitch():
    seen = eye(Camera(height_m=1.4, forward_m=1.5, left_m=0.2, pitch_rad=0.1))
    ground = seen.ground[0, 32 - seen.top, 48]
    assert ground.real.item() == pytest.approx(1.5 + 1.4 / np.tan(0.1), rel=1e-4)
    assert ground.imag.item() == pytest.approx(0.2, abs=1e-4)


def test_a_pixel_off_the_middle_sees_as_far_aside_as_the_focal_length_says():
    seen = eye(Camera(pitch_rad=0.0, left_m=0.0, view_rad=np.pi / 2))  # half the width is one focal length
    row, column = 32 + 10, 48 + 12
    depth = 1.4 * 48.5 / 10  # height times focal length over pixels below the horizon
    assert seen.depth[0, row, column].item() == pytest.approx(depth, rel=1e-4)
    assert seen.ground[0, row - seen.top, column].imag.item() == pytest.approx(-depth * 12 / 48.5, rel=1e-4)


@pytest.mark.parametrize(("setting", "row", "column"), [("yaw_rad", 0, 1), ("pitch_rad", 0, 2), ("roll_rad", 1, 2)])
def test_each_angle_of_the_camera_turns_the_way_it_says(setting, row, column):
    axes = eye(replace(Camera(pitch_rad=0.0), **{setting: 0.3})).axes[0]
    sign = {"yaw_rad": 1, "pitch_rad": -1, "roll_rad": -1}[setting]  # left of ahead; below; left wing down
    assert axes[row, column].item() == pytest.approx(sign * np.sin(0.3), abs=1e-6)
    torch.testing.assert_close(axes @ axes.T, torch.eye(3))


def test_from_the_middle_of_a_straight_road_the_picture_is_symmetric():
    seen = eye(Camera(left_m=0.0))
    picture = seen.see(straight_road())[0].int()
    assert (picture - picture.flip(2)).abs().max() <= 1
    shifted = seen.see(straight_road(left_m=-1.75))[0].int()
    assert (shifted - shifted.flip(2)).abs().max() > 50


def test_the_centre_line_lies_to_the_left_of_a_car_in_the_right_hand_lane():
    kinds, _ = eye(Camera()).truth(straight_road(left_m=-1.75))
    columns = (kinds[0, -10] == 4).nonzero()
    assert len(columns) and (columns < 48).all()


def test_depth_of_a_car_ahead_is_the_distance_to_its_rear():
    car = torch.tensor([[[20.0, 0.0, 0.0]]])
    kinds, depth = eye(Camera(pitch_rad=0.0, height_m=0.6)).truth(straight_road(cars=car))
    assert kinds[0, 32, 48] == 5
    assert depth[0, 32, 48].item() == pytest.approx(20 - 2.1 - 1.5, rel=1e-4)


def test_the_nearer_of_two_cars_hides_the_other_whatever_their_order():
    near, far = [12.0, 0.0, 0.0], [25.0, 0.3, 0.0]
    seen = eye(Camera(pitch_rad=0.0, height_m=0.6))
    pictures = []
    for order in ([near, far], [far, near]):
        cars = torch.tensor([order])
        _, depth = seen.truth(straight_road(cars=cars))
        assert depth[0, 32, 48].item() == pytest.approx(12 - 2.1 - 1.5, rel=1e-4)
        pictures.append(depth)
    torch.testing.assert_close(pictures[0], pictures[1])


def test_only_pixels_that_see_a_box_are_hit():
    seen = eye(Camera())
    cars = torch.tensor([[[-20.0, 0.0, 0.0]]])  # behind us
    objects = assemble(torch.zeros(1, 3), cars, torch.ones(1, 1, 3), torch.zeros(1, 0, 2), seen.place)
    assert not len(cast(objects, seen.rays, seen.axes, seen.place[:, 2], seen.focal).pixel)


def test_a_cone_is_as_tall_on_the_screen_as_it_should_be():
    seen = eye(Camera(pitch_rad=0.0, view_rad=np.pi / 2))
    cone = torch.tensor([[[6.5, 0.0]]])  # 5 m ahead of the camera
    objects = assemble(torch.zeros(1, 3), NONE, NONE, cone, seen.place)
    hits = cast(objects, seen.rays, seen.axes, seen.place[:, 2], seen.focal)
    rows = hits.pixel // 97
    assert rows.max().item() == pytest.approx(32 + 48.5 * 1.4 / 5, abs=1)
    assert rows.min().item() == pytest.approx(32 + 48.5 * (1.4 - 0.75) / 5, abs=1)
    torch.testing.assert_close(hits.depth, torch.full_like(hits.depth, 5.0))


def drive(dynamics, action, steps, speed=0.0):
    car = Vehicles(1, 0.05, CPU)
    everyone = torch.ones(1, dtype=torch.bool)
    zero = torch.zeros(1)
    car.place(everyone, zero, zero, zero, torch.full((1,), speed))
    numbers: SimpleNamespace = stack([dynamics], CPU)
    path = []
    for _ in range(steps):
        car.step(torch.tensor([action]), everyone, numbers)
        path.append((car.x.item(), car.y.item(), car.speed.item(), car.steering.item()))
    return np.array(path)


def test_the_bicycle_turns_on_a_circle_of_wheelbase_over_tangent_of_the_steering():
    dynamics = Dynamics(lag_s=0.0, drag_per_s=0.0)
    path = drive(dynamics, (-1.0, 0.0), 400, speed=3.0)  # to the left
    radius = 2.7 / np.tan(0.45)
    np.testing.assert_allclose(np.hypot(path[:, 0], path[:, 1] - radius), radius, atol=0.02)


def test_grip_widens_the_circle_to_speed_squared_over_friction():
    dynamics = Dynamics(lag_s=0.0, drag_per_s=0.0, grip=0.5)
    path = drive(dynamics, (-1.0, 0.0), 400, speed=8.0)
    radius = 64 / (0.5 * 9.81)
    np.testing.assert_allclose(np.hypot(path[:, 0], path[:, 1] - radius), radius, atol=0.05)


def test_steering_answers_after_the_delay_and_settles_with_the_lag():
    path = drive(Dynamics(delay_s=0.1, lag_s=0.2), (1.0, 0.0), 20)
    assert (path[:2, 3] == 0).all()  # two frames of 0.05 s
    expected = -0.45 * (1 - np.exp(-0.05 * np.arange(1, 19) / 0.2))
    np.testing.assert_allclose(path[2:, 3], expected, atol=1e-5)


def test_throttle_and_brake_change_the_speed_by_what_they_say_and_never_below_standing():
    dynamics = Dynamics(drag_per_s=0.0, push_mps2=3.0, brake_mps2=6.0)
    assert drive(dynamics, (0.0, 1.0), 20)[-1, 2] == pytest.approx(3.0, rel=1e-4)
    assert drive(dynamics, (0.0, -1.0), 20, speed=8.0)[-1, 2] == pytest.approx(2.0, rel=1e-4)
    assert drive(dynamics, (0.0, -1.0), 40, speed=8.0)[-1, 2] == 0


def test_tracks_close_keep_clear_of_themselves_and_bend_both_ways():
    for seed in range(8):
        track = tracks.draw(np.random.default_rng(seed))
        step = np.roll(track.position, -1, axis=0) - track.position
        np.testing.assert_allclose(np.linalg.norm(step, axis=1), track.length_m / tracks.SAMPLES, rtol=2e-3)
        bearing = np.arctan2(step[:, 1], step[:, 0]) - track.heading - track.curvature * track.length_m / 1024
        assert np.abs(np.angle(np.exp(1j * bearing))).max() < 0.01
        assert abs(abs((track.curvature * track.length_m / tracks.SAMPLES).sum()) - 2 * np.pi) < 0.01
        assert np.abs(track.curvature).max() <= 1 / tracks.TIGHTEST_M
        assert tracks.LAP_M[0] <= track.length_m <= tracks.LAP_M[1]
        away = np.linalg.norm(track.position[:, None] - track.position[None], axis=2)
        index = np.arange(tracks.SAMPLES)
        around = np.abs(index[:, None] - index[None])
        around = np.minimum(around, tracks.SAMPLES - around) * track.length_m / tracks.SAMPLES
        assert away[around > 2 * tracks.APART_M].min() > 12


def test_a_track_that_nears_itself_or_bends_too_tightly_is_not_drivable():
    angle = 2 * np.pi * np.arange(tracks.SAMPLES) / tracks.SAMPLES
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    bend = np.full(tracks.SAMPLES, 1 / 40)
    assert tracks._drivable(tracks.Track(40 * circle, angle, bend, 251.0))
    assert not tracks._drivable(tracks.Track(circle * [60, 6], angle, bend, 251.0))  # two stretches 12 m apart
    assert not tracks._drivable(tracks.Track(40 * circle, angle, 4.5 * bend, 251.0))


def test_a_place_on_the_road_is_found_again_and_the_map_agrees():
    random = np.random.default_rng(3)
    track = tracks.draw(random)
    roads = Roads(1, CPU)
    roads.place(0, track, tracks.chart(track, tracks.shades(random, track)))
    along = torch.linspace(0.1, track.length_m - 0.1, 200)[None]
    left = torch.from_numpy(random.uniform(-5, 5, (1, 200))).float()
    places = roads.at(along, left)[0]
    for place, s, d in zip(places, along[0].tolist(), left[0].tolist()):
        spot = roads.locate(place[None, 0], place[None, 1])
        assert spot.left.item() == pytest.approx(d, abs=0.01)
        gap = abs(spot.along.item() - s)
        assert min(gap, track.length_m - gap) < 0.05
        assert np.cos(spot.heading.item() - place[2].item()) > 0.9999
    grid = (places[:, :2] - roads.middle[0]) / roads.half[0]
    aside, phase, _ = torch.nn.functional.grid_sample(roads.layers, grid[None, None], align_corners=True)[0, :, 0]
    torch.testing.assert_close(aside, left[0], atol=0.05, rtol=0)
    dashes = round(track.length_m / tracks.DASH_M)
    torch.testing.assert_close(phase, torch.cos(2 * np.pi * dashes * along[0] / track.length_m), atol=0.2, rtol=0)


def test_rectangles_touch_when_they_overlap_and_not_when_only_their_circles_do():
    ego, nothing = torch.tensor([[0.0, 0.0, 0.0]]), torch.zeros(1, 0, 2)

    def touches(x, y, heading):
        return collides(ego, torch.tensor([[[x, y, heading]]]), nothing).item()

    assert touches(5.5, 0.0, 0.0) and not touches(5.7, 0.0, 0.0)  # 3.5 m to our bow and 2.1 m to its tail
    assert touches(1.35, 1.75, 0.0) and not touches(1.35, 1.85, 0.0)
    assert not touches(4.9, 2.2, -np.pi / 4) and touches(4.1, 1.5, -np.pi / 4)
    cone = torch.tensor([[[3.7, 0.0]]])
    assert collides(ego, NONE, cone).item() and not collides(ego, NONE, cone + 0.2).item()


def test_source_defaults_are_the_source_preset():
    assert (SOURCE.look, SOURCE.camera, SOURCE.dynamics) == (Look(), Camera(), Dynamics())
