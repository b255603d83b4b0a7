"""Cars and cones in the picture: only the pixels inside an object's outline on the screen are cast against it."""

from typing import NamedTuple

import torch
from torch import Tensor

from ._lanes_traffic import CAR_HALF, CONE_HEIGHT_M, CONE_RADIUS_M, _turned

BODY, CABIN, CONE = 0, 1, 2  # kinds of object
CONTACT_M = 0.35  # how far the shadow under a car reaches out
NEAREST_M, FARTHEST_M = 0.3, 120.0
CORNERS = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)  # (8, 3)
GLASS = (0.13, 0.16, 0.20)
RUBBER = (0.07, 0.07, 0.07)
LAMP = (0.95, 0.12, 0.08)
HEADLAMP = (0.95, 0.95, 0.85)
ORANGE = (0.95, 0.36, 0.06)
WHITE = (0.92, 0.92, 0.92)


class Objects(NamedTuple):
    """K upright boxes in each of n worlds, seen from the camera in our car's frame."""

    middle: Tensor  # (n, K, 3) m, from the camera, axes ahead, left and up
    yaw: Tensor  # (n, K) rad
    half: Tensor  # (n, K, 3) m
    paint: Tensor  # (n, K, 3)
    kind: Tensor  # (n, K) long


class Hits(NamedTuple):
    """What the pixels on an object see; only the nearest hit of each pixel is kept."""

    pixel: Tensor  # (T,) into n * H * W
    depth: Tensor  # (T,) m along the optical axis
    colour: Tensor  # (T, 3)
    kind: Tensor  # (T,)
    under: Tensor  # (U,) pixels of ground under a car, into n * H * W


def assemble(ego: Tensor, cars: Tensor, paint: Tensor, cones: Tensor, camera: Tensor) -> Objects:
    """Cars (n, cars, 3) of x, y, heading and cones (n, cones, 2) as boxes seen from `camera` (n, 3) on `ego` (n, 3)."""
    heading = ego[:, 2:]
    place = _turned(cars[..., :2] - ego[:, None, :2], heading)
    yaw = cars[..., 2] - heading
    back = torch.stack([yaw.cos(), yaw.sin()], dim=2) * -0.2
    spot = _turned(cones - ego[:, None, :2], heading)
    device, (count, many), few = ego.device, cars.shape[:2], cones.shape[1]
    shapes = torch.tensor(
        [(*CAR_HALF, 0.33), (1.15, 0.78, 0.30), (CONE_RADIUS_M, CONE_RADIUS_M, CONE_HEIGHT_M / 2)], device=device
    )
    rise = torch.tensor([0.55, 1.16, CONE_HEIGHT_M / 2], device=device)  # of the middles; bodies clear the ground
    kind = torch.tensor([BODY] * many + [CABIN] * many + [CONE] * few, dtype=torch.long, device=device)
    flat = torch.cat([place, place + back, spot], dim=1)
    middle = torch.cat([flat, rise[kind].expand(count, -1)[..., None]], dim=2) - camera[:, None]
    yaws = torch.cat([yaw, yaw, torch.zeros_like(spot[..., 0])], dim=1)
    paints = torch.cat([paint, paint, torch.zeros_like(middle[:, :few])], dim=1)
    return Objects(middle, yaws, shapes[kind].expand(count, -1, -1), paints, kind.expand(count, -1))


def cast(objects: Objects, rays: Tensor, axes: Tensor, camera_height: Tensor, focal: Tensor) -> Hits:
    """Cast the pixels near each object against it.

    `rays` (n, 3, H, W) are directions in the car's frame, one unit long along the optical axis; `axes` (n, 3, 3) turn
    the car's frame into the camera's (ahead, left, up); `focal` (n,) is in pixels.
    """
    height, width = rays.shape[2:]
    world, item, pixel = _pairs(objects, axes, focal, height, width)
    direction = rays.flatten(2)[world, :, pixel]  # (T, 3)
    middle, half, kind = objects.middle[world, item], objects.half[world, item], objects.kind[world, item]
    paint = objects.paint[world, item]
    cosine, sine = objects.yaw[world, item].cos(), objects.yaw[world, item].sin()
    local = _into_box(direction, cosine, sine)
    origin = -_into_box(middle, cosine, sine)
    depth, point, axis = _slabs(origin, local, half)
    colour = _car_colour(point, axis, half, kind, paint)
    at, spot, inside = _cone(middle, direction)
    cone = kind == CONE
    depth = torch.where(cone, torch.where(inside, at, torch.inf), depth)
    colour = torch.where(cone[:, None], _cone_colour(spot), colour)
    floor = camera_height[world] / (-local[:, 2]).clamp(min=1e-4)
    ground = (origin + floor[:, None] * local)[:, :2].abs() < half[:, :2] + CONTACT_M
    flat = world * (height * width) + pixel
    nearest = torch.full((len(rays) * height * width,), torch.inf, device=rays.device)
    nearest.scatter_reduce_(0, flat, depth, "amin")
    kept = ((depth < torch.inf) & (depth == nearest[flat])).nonzero().squeeze(1)
    dark = (kind == BODY) & (local[:, 2] < -1e-3) & ground.all(dim=1)
    return Hits(flat[kept], depth[kept], colour[kept], kind[kept], flat[dark])


def _pairs(objects: Objects, axes: Tensor, focal: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """World, object and pixel of every pixel inside an object's outline on the screen: (T,) each."""
    reach = objects.half.clone()
    reach[..., :2] += CONTACT_M * (objects.kind == BODY)[..., None]
    corners = CORNERS.to(reach.device) * reach[:, :, None]  # (n, K, 8, 3)
    corners[:, :, ::2, 2] -= 0.25 * (objects.kind == BODY)[..., None]  # bodies clear the ground, shadows do not
    cosine, sine = objects.yaw.cos()[..., None], objects.yaw.sin()[..., None]
    x = cosine * corners[..., 0] - sine * corners[..., 1] + objects.middle[..., :1]
    y = sine * corners[..., 0] + cosine * corners[..., 1] + objects.middle[..., 1:2]
    z = corners[..., 2] + objects.middle[..., 2:]
    turn = axes[:, None, None]  # (n, 1, 1, 3, 3)
    ahead, left, up = (turn[..., k, 0] * x + turn[..., k, 1] * y + turn[..., k, 2] * z for k in range(3))
    near = ahead.clamp(min=NEAREST_M)
    scale = focal[:, None, None]
    column = width / 2 - scale * left / near
    row = height / 2 - scale * up / near
    low_column = column.amin(dim=2).floor().clamp(0, width)
    high_column = column.amax(dim=2).ceil().clamp(0, width)
    low_row = row.amin(dim=2).floor().clamp(0, height)
    high_row = row.amax(dim=2).ceil().clamp(0, height)
    furthest, closest = ahead.amax(dim=2), ahead.amin(dim=2)
    seen = (furthest > NEAREST_M) & (closest < FARTHEST_M)
    wide = (high_column - low_column).long()
    many = torch.where(seen, wide * (high_row - low_row).long(), 0).flatten()
    pair = torch.repeat_interleave(many)
    rank = torch.arange(len(pair), device=pair.device) - (many.cumsum(0) - many)[pair]
    across = wide.flatten()[pair]
    rows = low_row.long().flatten()[pair] + rank // across
    columns = low_column.long().flatten()[pair] + rank % across
    return pair // objects.yaw.shape[1], pair % objects.yaw.shape[1], rows * width + columns


def _into_box(vector: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    x, y, z = vector.unbind(1)
    return torch.stack([cosine * x + sine * y, cosine * y - sine * x, z], dim=1)


def _slabs(origin: Tensor, direction: Tensor, half: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where rays enter boxes around 0: depth (T,), infinite for a miss; the point (T, 3); the axis of the face (T,)."""
    safe = torch.where(direction.abs() < 1e-7, 1e-7, direction)
    one, other = (-half - origin) / safe, (half - origin) / safe
    enter, axis = torch.minimum(one, other).max(dim=1)
    leave = torch.maximum(one, other).amin(dim=1)
    depth = torch.where((leave > enter) & (enter > 0), enter, torch.inf)
    return depth, origin + enter[:, None] * direction, axis


def _cone(middle: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A cone as an upright triangle that faces the camera: depth, height as a share (T,), and whether it is hit."""
    toward = middle[:, :2]
    square = toward.square().sum(dim=1)
    depth = square / (direction[:, :2] * toward).sum(dim=1).clamp(min=1e-3)
    aside = depth * (direction[:, 0] * toward[:, 1] - direction[:, 1] * toward[:, 0]) / square.sqrt().clamp(min=1e-3)
    height = depth * direction[:, 2] - middle[:, 2] + CONE_HEIGHT_M / 2
    share = height / CONE_HEIGHT_M
    inside = (share >= 0) & (share <= 1) & (aside.abs() < CONE_RADIUS_M * (1.08 - 0.95 * share)) & (depth > NEAREST_M)
    return depth, share, inside & (square < FARTHEST_M**2)


def _cone_colour(share: Tensor) -> Tensor:
    band = ((share > 0.38) & (share < 0.62))[:, None]
    return torch.where(band, share.new_tensor(WHITE), share.new_tensor(ORANGE))


def _car_colour(point: Tensor, axis: Tensor, half: Tensor, kind: Tensor, paint: Tensor) -> Tensor:
    """Paint, shaded by face, with windows all around the cabin, lamps at both ends and wheels at the sides."""
    relative = point / half
    end, side, top = axis == 0, axis == 1, axis == 2
    bright = torch.where(top, 1.1, torch.where(end, 0.85, torch.where(relative[:, 1] > 0, 0.95, 0.7)))
    colour = paint * bright[:, None]

    def over(colour: Tensor, where: Tensor, new: tuple[float, float, float]) -> Tensor:
        return torch.where(where[:, None], colour.new_tensor(new), colour)

    cabin = kind == CABIN
    colour = over(colour, cabin & ~top & (relative[:, 2].abs() < 0.75) & (relative[:, 0].abs() < 2), GLASS)
    lamp = ~cabin & end & (relative[:, 1].abs() > 0.6) & (relative[:, 2] > 0.1) & (relative[:, 2] < 0.7)
    colour = over(colour, lamp & (relative[:, 0] < 0), LAMP)
    colour = over(colour, lamp & (relative[:, 0] > 0), HEADLAMP)
    wheel = side & ((relative[:, 0].abs() - 0.6).abs() < 0.15) & (relative[:, 2] < 0.1)
    bumper = end & (relative[:, 2] < -0.6)
    return over(colour, ~cabin & (wheel | bumper), RUBBER)
