"""What only a simulator can know of a frame, the world from above among it."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from ._lanes_render import INSET_M, LINE_M, Scene
from ._lanes_traffic import CAR_HALF, CONE_RADIUS_M, _turned

SIZE, PIXEL_M, BEHIND_M = 64, 0.5, 4.0


class Truth(NamedTuple):
    """What only a simulator can know of a frame."""

    segmentation: NDArray[np.uint8]  # (n, H, W), ids into CLASSES
    depth: NDArray[np.float32]  # (n, H, W) m along the optical axis, infinite in the sky
    birds_eye: NDArray[np.uint8]  # (n, 3, 64, 64), 0 or 255: road; markings; cars and cones


def birds_eye(scene: Scene) -> Tensor:
    """Road, markings, and cars with cones, as masks (n, 3, SIZE, SIZE) of 0 or 255: ahead is up, left is left."""
    line = torch.arange(SIZE, device=scene.ego.device)
    ahead = ((SIZE - 0.5 - line) * PIXEL_M - BEHIND_M)[:, None].expand(SIZE, SIZE)
    left = ((SIZE / 2 - 0.5 - line) * PIXEL_M).expand(SIZE, SIZE)
    turn = torch.polar(1 / scene.half, scene.ego[:, 2])[:, None, None]
    start = (scene.ego[:, :2] - scene.middle) / scene.half[:, None]
    grid = torch.view_as_real(torch.complex(*start.unbind(1))[:, None, None] + torch.complex(ahead, left) * turn)
    aside, phase, _ = grid_sample(scene.layers, grid, padding_mode="border", align_corners=True).unbind(1)
    reach = max(LINE_M, PIXEL_M) / 2
    edge = (aside.abs() - (scene.lane_m - INSET_M)).abs() < reach
    centre = (aside.abs() < reach) & (phase > 0)
    place = _turned(scene.cars[..., :2] - scene.ego[:, None, :2], scene.ego[:, 2:])
    turned = scene.cars[..., 2] - scene.ego[:, 2:]
    cosine, sine = turned.cos()[..., None, None], turned.sin()[..., None, None]
    x, y = ahead - place[..., 0, None, None], left - place[..., 1, None, None]
    car = ((cosine * x + sine * y).abs() < CAR_HALF[0]) & ((cosine * y - sine * x).abs() < CAR_HALF[1])
    spot = _turned(scene.cones - scene.ego[:, None, :2], scene.ego[:, 2:])[..., None, None, :]
    cone = torch.hypot(ahead - spot[..., 0], left - spot[..., 1]) < max(CONE_RADIUS_M, 0.71 * PIXEL_M)
    masks = torch.stack([aside.abs() < scene.lane_m, edge | centre, car.any(dim=1) | cone.any(dim=1)], dim=1)
    return masks.to(torch.uint8) * 255


def upscaled(picture: Tensor, height: int) -> Tensor:
    """A square picture, its pixels repeated to `height`."""
    index = torch.arange(height, device=picture.device) * picture.shape[2] // height
    return picture[:, :, index][..., index]
