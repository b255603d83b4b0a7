"""The picture: a pinhole camera, the ground by ray casting into the map of the track, then sky, sensor and lens."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from ._lanes_boxes import CONE, Objects, assemble, cast
from ._lanes_presets import Camera

CLASSES = ("sky", "verge", "asphalt", "solid line", "dashed line", "car", "cone")
FARTHEST_M = 150.0  # depth at which the ground ends
LINE_M, INSET_M = 0.20, 0.25  # width of a marking, and of the strip outside the solid line's middle
GRAIN_PER_M, TILE = 10.0, 256
BANK = 1 << 20  # numbers of the noise that all frames draw from


class Scene(NamedTuple):
    """All that a frame of n worlds shows."""

    layers: Tensor  # (n, 3, MAP, MAP), see _lanes_track.chart
    middle: Tensor  # (n, 2) m, of the map
    half: Tensor  # (n,) m
    ego: Tensor  # (n, 3) x, y, heading of the rear axle
    speed: Tensor  # (n,)
    yaw_rate: Tensor  # (n,)
    cars: Tensor  # (n, cars, 3) x, y, heading
    paint: Tensor  # (n, cars, 3)
    cones: Tensor  # (n, cones, 2)
    frame: Tensor  # (n,) long, where in the bank the noise of this frame starts
    look: SimpleNamespace  # a Look of tensors
    lane_m: float  # half the width of the road
    period_s: float


class Ground(NamedTuple):
    """What the rows below the horizon see of the ground, `r` rows of them: shares in 0..1."""

    road: Tensor  # (n, 1, r, W)
    edge: Tensor
    centre: Tensor
    shade: Tensor
    position: Tensor  # (n, r, W, 2), in halves of the map


class Eye:
    """n cameras with pictures of one size."""

    def __init__(self, count: int, height: int, width: int, device: torch.device):
        self.height, self.width = height, width
        self.rays = torch.zeros(count, 3, height, width, device=device)  # ahead, left, up in the car's frame
        self.axes = torch.zeros(count, 3, 3, device=device)
        self.place = torch.zeros(count, 3, device=device)  # of the camera in the car's frame
        self.focal = torch.zeros(count, device=device)
        noise = torch.Generator().manual_seed(0)
        self.bank = torch.randn(BANK + 3 * height * width, generator=noise).to(device)
        self.tile = _tile(noise).to(device)

    def aim(self, worlds: Sequence[int], cameras: Sequence[Camera]) -> None:
        """Mount the cameras of some worlds anew."""
        for world, camera in zip(worlds, cameras):
            self.place[world] = torch.tensor([camera.forward_m, camera.left_m, camera.height_m])
            self.axes[world] = _axes(camera)
            self.focal[world] = self.width / 2 / torch.tan(torch.tensor(camera.view_rad / 2))
        left = self.width / 2 - 0.5 - torch.arange(self.width, device=self.rays.device)
        up = self.height / 2 - 0.5 - torch.arange(self.height, device=self.rays.device)
        for world in worlds:
            ahead, leftward, upward = self.axes[world, :, :, None, None]
            focal = self.focal[world]
            self.rays[world] = ahead + leftward * (left / focal) + upward * (up[:, None] / focal)
        self._measure()

    def _measure(self) -> None:
        """Everything about a pixel that stays the same while the camera does."""
        down = -self.rays[:, 2]
        depth = self.place[:, 2, None, None] / down.clamp(min=1e-6)
        self.is_sky = depth > FARTHEST_M  # (n, H, W)
        self.depth = torch.where(self.is_sky, FARTHEST_M, depth)
        rows = (~self.is_sky).any(dim=2).any(dim=0).nonzero()
        self.top = int(rows[0]) if len(rows) else self.height  # the first row with ground, in any world
        rows = self.is_sky.any(dim=2).any(dim=0).nonzero()
        self.bottom = int(rows[-1]) + 1 if len(rows) else 0  # the first row without sky, in all worlds
        low = self.depth[:, self.top :]
        ground = self.rays[:, :2, self.top :] * low[:, None] + self.place[:, :2, None, None]
        self.ground = torch.complex(ground[:, 0], ground[:, 1])  # (n, r, W) m ahead + i m to the left
        across = low / self.focal[:, None, None]  # metres of ground per pixel, side to side
        along = across * low / self.place[:, 2, None, None]
        foot = (across * (across + 0.3 * along)).sqrt()
        self.sharp = (1 / foot)[:, None]  # (n, 1, r, W)
        self.faint = (LINE_M / foot).clamp(max=1)[:, None]  # a line thinner than a pixel fades
        self.dashed = (1 / along.clamp(min=0.05))[:, None]
        self.crisp = (0.6 / (across * GRAIN_PER_M * (1 + 0.05 * low))).clamp(max=1)[:, None]
        flat = self.rays[:, :2, : self.bottom].norm(dim=1)
        self.elevation = self.rays[:, 2, : self.bottom] / flat
        self.azimuth = torch.atan2(self.rays[:, 1, : self.bottom], self.rays[:, 0, : self.bottom])
        self.sky: Tensor | None = None  # painted by `_paint_sky` when the look is known

    def settle(self, look: SimpleNamespace) -> None:
        """Everything about a pixel that stays the same while the look does."""
        colour = {name: getattr(look, name)[:, :, None, None] for name in ("zenith", "horizon", "verge")}
        rise = (self.elevation / 0.6).clamp(0, 1)[:, None]
        self.sky = torch.lerp(colour["horizon"], colour["zenith"], rise)
        self.hill = torch.lerp(colour["verge"] * 0.45, colour["horizon"], 0.6).expand_as(self.sky)
        self.fade = 1 - torch.exp(-look.haze[:, None, None] * self.depth[:, self.top :])[:, None]
        x = torch.linspace(-1, 1, self.width, device=rise.device)
        y = torch.linspace(-1, 1, self.height, device=rise.device)[:, None] * self.height / self.width
        away = (x.square() + y.square()) / (1 + (self.height / self.width) ** 2)
        lens = 1 - look.vignette[:, None, None, None] * away.square().sqrt()
        cast = torch.stack([1 + look.warmth, torch.ones_like(look.warmth), 1 - look.warmth], dim=1)
        self.gain = 255 * (look.exposure[:, None] * cast)[:, :, None, None] * lens
        self.grainy = bool((look.texture > 0).any() | (look.wear > 0).any())
        self.hilly = bool((look.hills > 0).any())
        self.hazy = bool((look.haze > 0).any())
        self.noisy = bool((look.noise > 0).any())
        self.smeared = bool((look.blur > 0).any())
        self.shady = bool((look.shadows > 0).any())

    def see(self, scene: Scene) -> Tensor:
        """The frame: (n, 3, H, W) uint8."""
        picture = self._ground_and_sky(scene)
        self._objects(scene, picture)
        if self.smeared:
            self._smear(scene, picture)
        picture.mul_(self.gain)
        if self.noisy:
            size = picture[0].numel()
            noise = self.bank.as_strided((BANK, size), (1, 1)).index_select(0, scene.frame).view_as(picture)
            picture.addcmul_(noise, (255 * scene.look.noise)[:, None, None, None])
        return picture.clamp_(0, 255).to(torch.uint8)

    def truth(self, scene: Scene) -> tuple[Tensor, Tensor]:
        """Segmentation (n, H, W) uint8, ids into CLASSES, and depth (n, H, W) m along the optical axis."""
        ground = self._ground(scene)
        kinds = torch.zeros_like(self.depth, dtype=torch.uint8)
        low = 1 + (ground.road > 0.5).to(torch.uint8)
        low[ground.edge > 0.5 * self.faint] = 3
        low[ground.centre > 0.5 * self.faint] = 4
        kinds[:, self.top :] = low[:, 0]
        kinds[self.is_sky] = 0
        depth = torch.where(self.is_sky, torch.inf, self.depth)
        hits = cast(self._seen(scene), self.rays, self.axes, self.place[:, 2], self.focal)
        kinds.view(-1)[hits.pixel] = torch.where(hits.kind == CONE, 6, 5).to(torch.uint8)
        depth.view(-1)[hits.pixel] = hits.depth
        return kinds, depth

    def _seen(self, scene: Scene) -> Objects:
        return assemble(scene.ego, scene.cars, scene.paint, scene.cones, self.place)

    def _ground(self, scene: Scene) -> Ground:
        turn = torch.polar(1 / scene.half, scene.ego[:, 2])[:, None, None]
        start = (scene.ego[:, :2] - scene.middle) / scene.half[:, None]
        grid = torch.view_as_real(torch.complex(*start.unbind(1))[:, None, None] + self.ground * turn)
        sampled = grid_sample(scene.layers, grid, padding_mode="border", align_corners=True)
        aside, phase, shade = sampled[:, :1], sampled[:, 1:2], sampled[:, 2:]
        aside = aside.abs_()
        road = (scene.lane_m - aside).mul_(self.sharp).add_(0.5).clamp_(0, 1)
        edge = (aside - (scene.lane_m - INSET_M)).abs_()
        edge = edge.neg_().add_(LINE_M / 2).mul_(self.sharp).add_(0.5).clamp_(0, 1).mul_(self.faint)
        centre = aside.neg_().add_(LINE_M / 2).mul_(self.sharp).add_(0.5).clamp_(0, 1).mul_(self.faint)
        centre = centre.mul_(phase.mul_(self.dashed).add_(0.5).clamp_(0, 1))
        return Ground(road, edge, centre, shade, grid)

    def _ground_and_sky(self, scene: Scene) -> Tensor:
        look = scene.look
        colour = {name: getattr(look, name)[:, :, None, None] for name in ("asphalt", "verge", "edge", "centre")}
        ground = self._ground(scene)
        light = None
        if self.shady:
            light = ground.shade.mul_(-look.shadows[:, None, None, None]).add_(1)
        if self.grainy:
            grain = self._grain(scene, ground.position)
            worn = 1 - look.wear[:, None, None, None] * (3 * grain).clamp(0, 1)
            ground.edge.mul_(worn)
            ground.centre.mul_(worn)
            grain = grain.mul_(self.crisp).mul_(look.texture[:, None, None, None]).add_(1)
            light = grain if light is None else light.mul_(grain)
        picture = torch.empty_like(self.rays)
        low = picture[:, :, self.top :]
        torch.lerp(colour["verge"], colour["asphalt"], ground.road, out=low)
        low.lerp_(colour["edge"], ground.edge)
        low.lerp_(colour["centre"], ground.centre)
        if light is not None:
            low.mul_(light)
        if self.hazy:
            low.lerp_(look.horizon[:, :, None, None], self.fade)
        sky = self._sky(scene)
        picture[:, :, : self.top] = sky[:, :, : self.top]
        both = slice(self.top, self.bottom)
        if self.bottom > self.top:
            picture[:, :, both] = torch.where(self.is_sky[:, None, both], sky[:, :, both], picture[:, :, both])
        return picture

    def _grain(self, scene: Scene, position: Tensor) -> Tensor:
        texel = (position * (scene.half * GRAIN_PER_M)[:, None, None, None]).to(torch.int32) & (TILE - 1)
        index = texel[..., 0] * TILE + texel[..., 1]
        return self.tile.index_select(0, index.view(-1)).view(index.shape)[:, None]

    def _sky(self, scene: Scene) -> Tensor:
        assert self.sky is not None
        if not self.hilly:
            return self.sky
        bearing = self.azimuth + scene.ego[:, 2, None, None]
        crest = 0.5 + 0.25 * torch.sin(3 * bearing) + 0.15 * torch.sin(7 * bearing + 1) + 0.1 * torch.sin(17 * bearing)
        rise = crest * scene.look.hills[:, None, None] - self.elevation
        cover = (rise * self.focal[:, None, None] + 0.5).clamp_(0, 1)
        cover *= (scene.look.hills > 0)[:, None, None]  # else a world's company would decide about its horizon
        return torch.lerp(self.sky, self.hill, cover[:, None])

    def _objects(self, scene: Scene, picture: Tensor) -> None:
        hits = cast(self._seen(scene), self.rays, self.axes, self.place[:, 2], self.focal)
        area = self.height * self.width
        colour, world = hits.colour, hits.pixel // area
        if self.hazy:
            fade = 1 - torch.exp(-scene.look.haze[world] * hits.depth)
            colour = torch.lerp(colour, scene.look.horizon[world], fade[:, None])
        flat = picture.view(-1)
        below = hits.under // area * (2 * area) + hits.under  # of the first channel
        above = world * (2 * area) + hits.pixel
        for channel in range(3):
            flat[below + channel * area] *= 0.45
            flat[above + channel * area] = colour[:, channel]

    def _smear(self, scene: Scene, picture: Tensor) -> None:
        """Blur along the motion while the shutter is open: three taps with the variance of the streak."""
        shutter = scene.look.blur * scene.period_s
        across = self.focal * scene.yaw_rate * shutter  # pixels
        weight = (across.square() / 48).clamp(max=1 / 3)[:, None, None, None]
        sides = picture[..., 4:] + picture[..., :-4]
        picture[..., 2:-2] = torch.lerp(picture[..., 2:-2], sides.mul_(0.5), 2 * weight)
        steep = -self.rays[:, 2, self.top :, self.width // 2].clamp(max=0)
        down = self.focal[:, None] * steep.square() * (scene.speed * shutter / self.place[:, 2])[:, None]
        weight = (down.square() / 12).clamp(max=1 / 3)[:, None, :, None]
        low = picture[:, :, self.top :]
        sides = low[:, :, 2:] + low[:, :, :-2]
        low[:, :, 1:-1] = torch.lerp(low[:, :, 1:-1], sides.mul_(0.5), 2 * weight[:, :, 1:-1])


def _axes(camera: Camera) -> Tensor:
    """Ahead, left and up of the camera, as rows in the car's frame: yaw, then pitch, then roll."""
    angles = torch.tensor([camera.yaw_rad, camera.pitch_rad, camera.roll_rad], dtype=torch.float64)
    (cy, cp, cr), (sy, sp, sr) = angles.cos().tolist(), angles.sin().tolist()
    ahead = torch.tensor([cp * cy, cp * sy, -sp])
    left, up = torch.tensor([-sy, cy, 0.0]), torch.tensor([sp * cy, sp * sy, cp])
    return torch.stack([ahead, cr * left - sr * up, cr * up + sr * left])


def _tile(noise: torch.Generator) -> Tensor:
    """Seamless noise of several scales: (TILE * TILE,), zero mean."""
    total = torch.zeros(1, 1, TILE, TILE)
    for size, strength in ((8, 0.35), (32, 0.25), (128, 0.3), (256, 0.5)):
        coarse = torch.randn(1, 1, size, size, generator=noise)
        padded = torch.nn.functional.pad(coarse, (1, 1, 1, 1), mode="circular")
        scale = TILE // size
        fine = torch.nn.functional.interpolate(padded, scale_factor=scale, mode="bilinear")
        total += strength * fine[:, :, scale : scale + TILE, scale : scale + TILE]
    return total.flatten()
