"""Dynamic time warping of many sequences along one (Sakoe & Chiba 1978)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Path(NamedTuple):
    """How one sequence goes along another."""

    distance: float  # the mean of |x_i - y_j| over the steps of the path
    steps: NDArray[np.int32]  # (L, 2) pairs i, j, from (0, 0) to both ends


def warp(x: list[NDArray[np.float32]], y: NDArray[np.float32]) -> list[Path]:
    """The cheapest path of each of B sequences ``x`` (n_b, S) along the sequence ``y`` (m, S).

        D[i, j] = |x_i - y_j| + min(D[i-1, j-1], D[i-1, j], D[i, j-1])

    and the straight step where there is a choice. All sequences advance together, an anti-diagonal i + j = k at a
    time; shorter ones are padded at their end, which no cell before it sees.
    """
    lengths, m, count = np.array([len(each) for each in x]), len(y), len(x)
    n = int(lengths.max())
    padded = np.zeros((y.shape[1], n, count), np.float32)  # sequences last, so that a diagonal lies together
    for b, each in enumerate(x):
        padded[:, : len(each), b] = each.T
    back = np.ascontiguousarray(y[::-1].T)[:, :, None]
    up = np.zeros((n + m - 1, n, count), bool)  # whether the cheapest path to (i, k - i) comes from (i - 1, k - i)
    left = np.zeros_like(up)  # ... or from (i, k - i - 1)
    costs = np.full((3, n + 1, count), np.inf, np.float32)  # of the last diagonals, at i + 1: 0 lies outside
    costs[1, 0] = 0  # where every path begins
    totals = np.empty(count, np.float32)
    room = np.empty((2, n, count), np.float32)
    for k in range(n + m - 1):
        low, high = max(0, k - m + 1), min(n, k + 1)
        here, last, former = (costs[(k - ago) % 3] for ago in range(3))
        gap, square = room[:, : high - low]
        step = here[low + 1 : high + 1]
        step[:] = 0
        for channel, other in zip(padded[:, low:high], back[:, m - 1 - k + low : m - 1 - k + high]):
            np.subtract(channel, other, out=gap)
            step += np.multiply(gap, gap, out=square)
        np.sqrt(step, out=step)
        straight, above, beside = former[low:high], last[low:high], last[low + 1 : high + 1]
        np.less(above, straight, out=up[k, low:high])
        least = np.minimum(straight, above, out=gap)
        np.less(beside, least, out=left[k, low:high])
        step += np.minimum(least, beside, out=least)
        costs[1, 0] = np.inf
        ended = np.flatnonzero(lengths + m - 2 == k)
        totals[ended] = here[lengths[ended], ended]
    return [Path(float(t) / len(s), s) for t, s in zip(totals, _followed(up, left, lengths, m))]


def _followed(
    up: NDArray[np.bool_], left: NDArray[np.bool_], lengths: NDArray[np.int64], m: int
) -> list[NDArray[np.int32]]:
    """The B paths, followed from their ends."""
    which, i, j = np.arange(len(lengths)), lengths - 1, np.full(len(lengths), m - 1)
    steps = np.empty((len(up), len(lengths), 2), np.int32)
    first, going = np.zeros_like(lengths), np.ones(len(lengths), bool)
    for row in reversed(range(len(up))):
        steps[row, :, 0], steps[row, :, 1] = i, j
        first[going] = row
        beside, above = left[i + j, i, which], up[i + j, i, which]
        i, j = i - ~beside, j - (beside | ~above)
        going &= i >= 0
        if not going.any():
            break
        i, j = np.maximum(i, 0), np.maximum(j, 0)
    return [steps[begin:, b].copy() for b, begin in enumerate(first)]
