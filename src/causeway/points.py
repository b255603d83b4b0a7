"""Point clouds from depth pictures: unproject, crop, and keep a few points that stand for all."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

THINNED = 8192  # points that farthest sampling looks at; raising it finds thinner things, slower


def unproject(depth: NDArray[np.float32], intrinsics: ArrayLike, pose: ArrayLike) -> NDArray[np.float32]:
    """Every pixel of ``depth`` (H, W), metres along the camera's axis, as a point in the world: (H * W, 3), row by row.

    With the intrinsics K (3, 3) and the pose (R, t) of the camera in the world (4, 4), its x to the right, y down and z
    forward, pixel (row v, column u), whose centre is half a pixel further, is the point

        R (depth * K^-1 (u + 1/2, v + 1/2, 1)) + t

    Where nothing was measured (0, or no finite number) it is nan, which ``crop`` leaves out.
    """
    height, width = depth.shape
    rows, columns = np.mgrid[:height, :width] + 0.5
    rays = np.stack([columns, rows, np.ones_like(rows)], 2) @ np.linalg.inv(np.asarray(intrinsics, np.float64)).T
    known = np.where(np.isfinite(depth) & (depth > 0), depth, np.nan)
    pose = np.asarray(pose, np.float64)
    world = (rays * known[:, :, None]).reshape(-1, 3) @ pose[:3, :3].T + pose[:3, 3]
    return np.asarray(world, np.float32)


def crop(points: NDArray[np.float32], low: ArrayLike, high: ArrayLike) -> NDArray[np.float32]:
    """Those of ``points`` (N, 3) inside the box from ``low`` to ``high`` (3,), its faces included, in their order."""
    return np.asarray(points[((points >= np.asarray(low)) & (points <= np.asarray(high))).all(1)], np.float32)


def farthest(points: NDArray[np.float32], count: int, thinned: int = THINNED) -> NDArray[np.float32]:
    """``count`` of ``points`` (N, 3): the first, then again and again the one farthest from all before: (count, 3).

    Farthest point sampling (Eldar et al. 1997); of equals the first is taken. More than ``thinned`` points are first
    thinned at random, in their order and every time in the same way. Fewer than ``count`` are repeated in turn; where
    there are none, all are 0.
    """
    if not len(points):
        return np.zeros((count, 3), np.float32)
    if len(points) > max(thinned, count):
        kept = np.random.default_rng(0).choice(len(points), max(thinned, count), replace=False, shuffle=False)
        points = points[np.sort(kept)]
    if len(points) <= count:
        return points[np.arange(count) % len(points)]
    chosen = np.zeros(count, np.int64)
    axes = np.ascontiguousarray(points.T, np.float32)
    nearest = np.full(len(points), np.inf, np.float32)  # squared distance to the nearest of the chosen
    away, square = np.empty_like(nearest), np.empty_like(nearest)
    for place in range(1, count):
        np.subtract(axes[0], axes[0, chosen[place - 1]], out=away)
        np.square(away, out=away)
        for axis in axes[1:]:
            np.subtract(axis, axis[chosen[place - 1]], out=square)
            np.square(square, out=square)
            np.add(away, square, out=away)
        np.minimum(nearest, away, out=nearest)
        chosen[place] = nearest.argmax()
    return points[chosen]
