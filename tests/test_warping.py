"""Warping paths against the recurrence, cell by cell."""

import numpy as np
import pytest
from numpy.typing import NDArray

from causeway.warping import warp


def cell_by_cell(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[float, list[tuple[int, int]]]:
    """The cheapest sum and its path, straight wherever that costs no more, then upwards."""
    sums = np.full((len(x) + 1, len(y) + 1), np.inf)
    sums[0, 0] = 0
    for i in range(len(x)):
        for j in range(len(y)):
            sums[i + 1, j + 1] = np.linalg.norm(x[i] - y[j]) + min(sums[i, j], sums[i, j + 1], sums[i + 1, j])
    i, j = len(x), len(y)
    path = []
    while (i, j) != (0, 0):
        path.append((i - 1, j - 1))
        before = [(sums[i - 1, j - 1], 0), (sums[i - 1, j], 1), (sums[i, j - 1], 2)]
        step = min(before)[1]
        i, j = i - (step != 2), j - (step != 1)
    return sums[-1, -1], path[::-1]


@pytest.mark.parametrize("seed", range(20))
def test_paths_are_those_of_the_recurrence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = [rng.normal(size=(rng.integers(1, 12), 3)).astype(np.float32) for _ in range(4)]
    y = rng.normal(size=(rng.integers(1, 12), 3)).astype(np.float32)
    for one, found in zip(x, warp(x, y), strict=True):
        total, path = cell_by_cell(one, y)
        assert found.steps.tolist() == [list(step) for step in path]
        assert found.distance == pytest.approx(total / len(path), rel=1e-5)


def test_paths_of_equal_cost_are_as_straight_as_can_be() -> None:
    same = np.zeros((3, 1), np.float32)
    assert warp([same, same[:1], same[:2]], same)[0].steps.tolist() == [[0, 0], [1, 1], [2, 2]]
    assert warp([same[:1]], same)[0].steps.tolist() == [[0, 0], [0, 1], [0, 2]]
    assert warp([same], same[:1])[0].steps.tolist() == [[0, 0], [1, 0], [2, 0]]
    assert warp([same[:1] + 2], same[:1])[0].distance == 2, "of one moment and one other"
    assert warp([same[:1]], same[:1])[0].steps.tolist() == [[0, 0]]


def test_a_pause_is_waited_for() -> None:
    walk = np.array([[0.0], [1], [2], [3]], np.float32)
    paused = np.array([[0.0], [1], [1], [1], [2], [3]], np.float32)
    (found,) = warp([walk], paused)
    assert found.distance == 0 and found.steps.tolist() == [[0, 0], [1, 1], [1, 2], [1, 3], [2, 4], [3, 5]]
