"""Point clouds from depth pictures, worked by hand."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from causeway.points import crop, farthest, unproject

K = np.array([[10.0, 0, 4], [0, 20, 3], [0, 0, 1]])  # of a picture 8 wide and 6 high
HEIGHT, WIDTH = 6, 8


def test_pixels_become_points_by_hand() -> None:
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    found = unproject(depth, K, np.eye(4))
    assert found.shape == (48, 3) and found.dtype == np.float32
    assert found[0].tolist() == pytest.approx([2 * (0.5 - 4) / 10, 2 * (0.5 - 3) / 20, 2])
    assert found[WIDTH * 5 + 6].tolist() == pytest.approx([2 * (6.5 - 4) / 10, 2 * (5.5 - 3) / 20, 2]), "row by row"
    depth[1, 2] = 5
    assert unproject(depth, K, np.eye(4))[WIDTH + 2].tolist() == pytest.approx([5 * -0.15, 5 * -0.075, 5])


def test_a_camera_that_looks_down_sees_the_table_below_it() -> None:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = [[1, 0, 0], [0, -1, 0], [0, 0, -1]], [0.3, 0.1, 1.5]  # its z is the world's -z
    found = unproject(np.full((HEIGHT, WIDTH), 1.5, np.float32), K, pose)
    assert found[:, 2] == pytest.approx(0, abs=1e-6)
    assert found[0, :2].tolist() == pytest.approx([0.3 + 1.5 * -0.35, 0.1 - 1.5 * -0.125])


def test_points_project_back_onto_their_pixels() -> None:
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn * np.linalg.det(turn), rng.normal(size=3)
    depth = rng.uniform(0.5, 3, (HEIGHT, WIDTH)).astype(np.float32)
    points = np.concatenate([unproject(depth, K, pose), np.ones((48, 1))], 1)
    seen = (np.linalg.inv(pose) @ points.T)[:3]
    pixels = K @ (seen / seen[2])
    rows, columns = np.divmod(np.arange(48), WIDTH)
    assert pixels[0] == pytest.approx(columns + 0.5, abs=1e-4) and pixels[1] == pytest.approx(rows + 0.5, abs=1e-4)
    assert seen[2] == pytest.approx(depth.ravel(), abs=1e-5)


def test_what_was_not_measured_is_left_out_by_every_crop() -> None:
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    depth[0, :4] = 0, -1, np.nan, np.inf
    found = unproject(depth, K, np.eye(4))
    assert np.isnan(found[:4]).all() and np.isfinite(found[4:]).all()
    assert len(crop(found, [-np.inf] * 3, [np.inf] * 3)) == 44


def test_a_crop_includes_its_faces() -> None:
    points = np.array([[0, 0, 0], [1, 2, 3], [1.001, 2, 3], [0, -0.001, 0], [0.5, 1, 3.001], [0.5, 1, 1]], np.float32)
    assert crop(points, [0, 0, 0], [1, 2, 3]).tolist() == points[[0, 1, 5]].tolist()
    assert crop(points, [9, 9, 9], [10, 10, 10]).shape == (0, 3)


def test_the_corners_of_a_square_are_farthest_from_one_another() -> None:
    grid = np.stack([*np.mgrid[0:5, 0:5], np.zeros((5, 5))], 2).reshape(-1, 3).astype(np.float32)
    assert farthest(grid, 4).tolist() == [[0, 0, 0], [4, 4, 0], [0, 4, 0], [4, 0, 0]]
    assert farthest(grid, 5)[4].tolist() == [2, 2, 0]


def test_each_point_is_the_farthest_from_all_before() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 7, 30):
        points = rng.normal(size=(30, 3)).astype(np.float32)
        chosen = [0]
        while len(chosen) < count:
            gaps = np.linalg.norm(points[:, None] - points[chosen], axis=2).min(1)
            chosen.append(int(gaps.argmax()))
        found = farthest(points, count)
        assert np.array_equal(found, points[chosen] if count < 30 else points), "all of them need no order"


def test_few_points_are_repeated_in_turn_and_none_are_zeros() -> None:
    points = np.arange(9, dtype=np.float32).reshape(3, 3)
    assert farthest(points, 7).tolist() == points[[0, 1, 2, 0, 1, 2, 0]].tolist()
    none = farthest(points[:0], 4)
    assert none.tolist() == [[0, 0, 0]] * 4 and none.dtype == np.float32


def test_many_points_are_thinned_every_time_in_the_same_way() -> None:
    points = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    one = farthest(points, 20, thinned=100)
    assert np.array_equal(one, farthest(points, 20, thinned=100)) and len(np.unique(one, axis=0)) == 20
    assert not np.array_equal(one, farthest(points, 20)), "some were not looked at"
    assert {*map(tuple, one)} <= {*map(tuple, points)}
    assert len(np.unique(farthest(points, 300, thinned=100), axis=0)) == 300, "as many as are asked for are kept"


def test_the_script_in_the_docs_makes_a_cloud() -> None:
    page = (Path(__file__).parent.parent / "docs/data.md").read_text()
    script = next(s for s in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE) if "unproject" in s)
    made: dict[str, Any] = {}
    exec(compile(script, "docs/data.md", "exec"), made)
    assert made["points"].shape == (256, 3) and len(np.unique(made["points"], axis=0)) == 256
    assert np.abs(made["points"]).max(0) == pytest.approx([0.2905, 0.2905, 0.7], abs=1e-3)
