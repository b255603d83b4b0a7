"""Lanes: a driving simulator in batched torch, made of nothing but this package, on CPU or GPU.

A car drives in the right-hand lane of a closed road with two lanes: random splines, at the scale of real cars (lanes of
3.5 m, laps of 220 to 320 m, at most 8 m/s for the expert). Other cars slow and stop in its lane or come towards it;
cones stand at the edges. A pinhole camera is ray-cast onto the ground and onto boxes for the cars; `truth` adds
segmentation, depth and a bird's-eye view. Look, camera and dynamics are settings with two presets, `source` (clean and
flat) and `target` (textured, other colours, a worse sensor and lens, another mount and another car).

Lengths are metres, angles radians; offsets, headings and curvatures are positive to the left, but the steering command
is positive to the right, as it is on Donkey cars. An episode ends "completed" after `route_m`, or by "off_road" (the
rear axle leaves the asphalt), "collision", "stuck" (standing for 5 s with no car near ahead) or, truncated, "timeout".
The reward of a step is the metres gained along the road, less a tenth of the metres from the middle of the lane.

Not modelled: slopes and banking; the body's roll and pitch, and suspension; tyre slip other than a limit on sideways
acceleration; reverse gear; junctions, signs, lights, pedestrians; the drivers of other cars, who keep to their lane on
rails; reflections, cast shadows of objects other than the patch under a car, night and rain; rolling shutter, lens
distortion and colour filters. Cones are flat triangles that face the camera. Markings thinner than a pixel fade out
instead of flickering.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError
from . import Simulator
from ._lanes_birdseye import Truth, birds_eye, upscaled
from ._lanes_expert import drive
from ._lanes_presets import PRESETS, Camera, Dynamics, Look, Name, Preset, stack, wander
from ._lanes_render import BANK, CLASSES, Eye, Scene
from ._lanes_road import Roads
from ._lanes_track import chart, draw, shades
from ._lanes_traffic import Traffic, collides, plan
from ._lanes_vehicle import CAR_LENGTH_AHEAD_M, Vehicles
from ._lanes_wrappers import Randomized, Single
from ._presets import mixed

__all__ = [
    "CLASSES",
    "ENDS",
    "PRESETS",
    "Camera",
    "Config",
    "Dynamics",
    "Lanes",
    "Look",
    "Preset",
    "Randomized",
    "Single",
    "Truth",
]

ENDS = ("", "completed", "off_road", "collision", "stuck", "timeout")
ALIVE, COMPLETED, OFF_ROAD, COLLISION, STUCK, TIMEOUT = range(6)
SIGHT_M = 10.0  # the curvature ahead is the mean over so far
STANDING_MPS, STUCK_S, QUEUE_M = 0.3, 5.0, 12.0
OFFSET_COST = 0.1  # reward lost per step and metre from the middle of the lane


@dataclass(frozen=True)
class Config:
    """A world of lanes. In Python, `dataclasses.replace` changes single numbers of a preset's look."""

    preset: Name = "source"  # the look, the camera and the dynamics: "target" is the other side of the gap
    look: Name | Look | None = None  # another look than the preset's: a name, or a table of its numbers
    camera: Name | Camera | None = None  # another camera than the preset's
    dynamics: Name | Dynamics | None = None  # other dynamics than the preset's
    randomize: float = 0.0  # how far every number of these wanders per episode; 1 spans what cars and cameras do
    height: int = 64  # of the picture, in pixels: more shows more and costs more
    width: int = 96  # of the picture, in pixels
    rate_hz: float = 20.0  # frames and commands per second: more steps per episode
    route_m: float = 80.0  # how far to drive to complete an episode; 0 for a whole lap
    limit_s: float = 30.0  # when an episode is cut off as a timeout
    cars: int = 1  # cars in our lane: more to stop for
    oncoming: int = 1  # cars in the other lane: more to look at, and to hit when out of lane
    cones: int = 10  # cones at the edges of the road
    lane_m: float = 3.5  # width of a lane: wider forgives more
    device: str = "cpu"  # where torch works: "cpu" or "cuda"

    def __post_init__(self) -> None:
        for name in ("height", "width", "rate_hz", "limit_s", "lane_m"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"'{name}' must be more than 0, not {getattr(self, name)}.")
        for name in ("randomize", "route_m", "cars", "oncoming", "cones"):
            if getattr(self, name) < 0:
                raise ConfigError(f"'{name}' must not be negative, but it is {getattr(self, name)}.")

    def build(self, count: int, seed: int = 0) -> "Lanes":
        return Lanes(self, count, seed)

    def single(self, seed: int = 0) -> "Single":
        """One world behind gymnasium's `Env`."""
        return Single(self.build(1, seed))

    def settings(self) -> Preset:
        """The look, camera and dynamics that the preset and the settings that replace parts of it come to."""
        return mixed(PRESETS, self.preset, self.look, self.camera, self.dynamics)


class Lanes(Simulator):
    """n worlds. Reset them before anything else."""

    cameras = ("front",)
    state_names = ("speed_mps",)
    action_names = ("steering", "throttle")
    ends = ENDS[1:]
    metadata = {"autoreset_mode": AutoresetMode.DISABLED, "render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012
    render_mode = "rgb_array"

    def __init__(self, config: Config, count: int, seed: int = 0):
        self.config, self.num_envs, self.seed, self.rate_hz = config, count, seed, config.rate_hz
        shape = (1, 3, config.height, config.width)
        state = spaces.Box(0, 200, (1,), np.float32)
        self.single_observation_space = spaces.Dict({"images": spaces.Box(0, 255, shape, np.uint8), "state": state})
        self.single_action_space = spaces.Box(-1, 1, (2,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, count)
        self.action_space = batch_space(self.single_action_space, count)
        self.device = torch.device(config.device)
        self.eye = Eye(count, config.height, config.width, self.device)
        self.large_eye: Eye | None = None  # for people, made when first asked for
        self.roads = Roads(count, self.device)
        self.vehicles = Vehicles(count, 1 / config.rate_hz, self.device)
        self.traffic = Traffic(count, config.cars + config.oncoming, config.cones, self.device)
        self.presets: list[Preset] = [config.settings()] * count
        self.episodes = [0] * count  # begun so far, by world
        self.end = torch.zeros(count, dtype=torch.long, device=self.device)
        self.progress, self.still_s = (torch.zeros(count, device=self.device) for _ in range(2))
        self.steps, self.noise = (torch.zeros(count, dtype=torch.long, device=self.device) for _ in range(2))

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin the episodes of `seed`: one per world, or a first one to count up from, or the next of our own.

        `options` may hold `reset_mask`, (n,) bool, and `randomize`, which stands in for the Config's.
        """
        options = options or {}
        chosen = np.flatnonzero(options.get("reset_mask", np.ones(self.num_envs, bool))).tolist()
        amount = options.get("randomize", self.config.randomize)
        seeds = [seed + k for k in range(self.num_envs)] if isinstance(seed, int | np.integer) else seed
        if seeds is not None and len(seeds) != self.num_envs:
            raise ValueError(f"lanes has {self.num_envs} worlds and was given {len(seeds)} seeds.")
        for world in chosen:
            given = seeds[world] if seeds is not None else None
            self._begin(world, self._next_seed(world) if given is None else int(given), amount)
        self.look, self.camera, self.dynamics = (stack(part, self.device) for part in zip(*self.presets))
        self.eye.aim(chosen, [self.presets[world].camera for world in chosen])
        self.eye.settle(self.look)
        self.large_eye = None
        self.spot = self.roads.locate(self.vehicles.x, self.vehicles.y)
        return self._observation(), self._infos()

    def _next_seed(self, world: int) -> int:
        return int(np.random.default_rng((self.seed, world, self.episodes[world])).integers(2**31))

    def _begin(self, world: int, seed: int, amount: float) -> None:
        """Track, traffic, looks and noise are drawn apart, so that a setting of one leaves the others as they are."""
        config, lap = self.config, np.random.default_rng((seed, 0))
        track = draw(lap)
        self.roads.place(world, track, chart(track, shades(lap, track)))
        random = np.random.default_rng((seed, 1))
        along, left, turn, speed = random.uniform([0, -0.3, -0.05, 0], [track.length_m, 0.3, 0.05, 6])
        counts = (config.cars, config.oncoming, config.cones)
        self.traffic.place(world, plan(random, *counts, along, track.length_m, config.lane_m))
        start = torch.full((self.num_envs, 1), float(along), device=self.device)
        x, y, heading = self.roads.at(start, torch.full_like(start, float(left) - config.lane_m / 2))[world, 0]
        which = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        which[world] = True
        self.vehicles.place(which, x, y, heading + float(turn), torch.tensor(float(speed), device=self.device))
        self.presets[world] = wander(config.settings(), amount, np.random.default_rng((seed, 2)))
        self.noise[world] = int(np.random.default_rng((seed, 3)).integers(BANK))
        for values in (self.end, self.steps, self.progress, self.still_s):
            values[world] = 0
        self.episodes[world] += 1

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[dict[str, Any], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Drive all worlds by one period; those that have ended stay as they are, with a reward of 0."""
        period, alive = 1 / self.rate_hz, self.end == ALIVE
        commands = torch.as_tensor(np.asarray(actions, np.float32), device=self.device).clamp(-1, 1)
        if commands.shape != self.action_space.shape:
            raise ValueError(f"lanes needs commands of shape {self.action_space.shape}, not {tuple(commands.shape)}.")
        self.vehicles.step(commands, alive, self.dynamics)
        self.traffic.step(period, alive, self.spot.along, self.spot.left > 0, self.roads.lap)
        before, self.spot = self.spot, self.roads.locate(self.vehicles.x, self.vehicles.y)
        gain = (self.spot.along - before.along) / self.roads.lap
        gain = (gain - gain.round()) * self.roads.lap * alive
        self.progress += gain
        self.steps += alive
        standing = (self.vehicles.speed < STANDING_MPS) & (self._lead()[0] > QUEUE_M)
        self.still_s = torch.where(alive, (self.still_s + period) * standing, self.still_s)
        self.end = torch.where(alive, self._how_it_ends(), self.end)
        reward = gain - OFFSET_COST * self._lane_offset().abs() * alive
        ended, cut = (self.end != ALIVE) & (self.end != TIMEOUT), self.end == TIMEOUT
        return self._observation(), reward.cpu().numpy(), ended.cpu().numpy(), cut.cpu().numpy(), self._infos()

    def _how_it_ends(self) -> Tensor:
        """(n,) ids into ENDS; where several apply the last one written here counts."""
        end = torch.zeros_like(self.end)
        end[self.steps >= self.config.limit_s * self.rate_hz] = TIMEOUT
        end[self.still_s >= STUCK_S] = STUCK
        end[self.progress >= self._route()] = COMPLETED
        end[self.spot.left.abs() > self.config.lane_m] = OFF_ROAD
        end[collides(self._ego(), self._cars(), self._cones())] = COLLISION
        return end

    def expert(self) -> NDArray[np.float32]:
        """Pure pursuit along the lane, slowing in bends and stopping behind cars."""
        gap, speed = self._lead()
        lane = -self.config.lane_m / 2
        return drive(self.vehicles, self.roads, self.spot, self.dynamics, lane, gap, speed).cpu().numpy()

    def truth(self) -> Truth:
        """Segmentation, depth and bird's-eye view of the present frame; costs nothing unless called."""
        scene = self._scene()
        kinds, depth = self.eye.truth(scene)
        return Truth(kinds.cpu().numpy(), depth.cpu().numpy(), birds_eye(scene).cpu().numpy())

    def render(self) -> Any:
        """The camera's picture, four times as fine, beside the bird's-eye view: (n, 4 H, 4 W + 4 H, 3) uint8."""
        height, width = 4 * self.config.height, 4 * self.config.width
        if self.large_eye is None:
            self.large_eye = Eye(self.num_envs, height, width, self.device)
            self.large_eye.aim(range(self.num_envs), [preset.camera for preset in self.presets])
            self.large_eye.settle(self.look)
        scene = self._scene()
        picture = torch.cat([self.large_eye.see(scene), upscaled(birds_eye(scene), height)], dim=3)
        return picture.permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def _observation(self) -> dict[str, Any]:
        images = self.eye.see(self._scene())[:, None].cpu().numpy()
        return {"images": images, "state": self.vehicles.speed[:, None].clone().cpu().numpy()}

    def _infos(self) -> dict[str, Any]:
        ahead = torch.arange(0.5, SIGHT_M, 1.0, device=self.device)
        turned = self.vehicles.heading - self.spot.heading
        signals = {
            "completion": (self.progress / self._route()).clamp(0, 1),
            "signal_lane_offset_m": self._lane_offset(),
            "signal_heading_error_rad": torch.atan2(turned.sin(), turned.cos()),
            "signal_speed_mps": self.vehicles.speed.clone(),  # a copy: reset writes into the original
            "signal_curvature_ahead_per_m": self.roads.bend(self.spot.along[:, None] + ahead).mean(dim=1),
            "signal_lead_distance_m": self._lead()[0],
        }
        ends = np.asarray(ENDS)[self.end.cpu().numpy()]
        return {"end": ends, **{name: values.cpu().numpy() for name, values in signals.items()}}

    def _route(self) -> Tensor:
        return self.roads.lap if self.config.route_m == 0 else torch.full_like(self.roads.lap, self.config.route_m)

    def _lane_offset(self) -> Tensor:
        return self.spot.left + self.config.lane_m / 2

    def _lead(self) -> tuple[Tensor, Tensor]:
        """Bumper to bumper to the next car in our lane, infinite beyond half a lap, and its speed: (n,) each."""
        lap = self.roads.lap[:, None]
        far = (self.traffic.along - self.spot.along[:, None]) % lap
        far = torch.where((self.traffic.wish > 0) & (far < lap / 2), far - CAR_LENGTH_AHEAD_M, torch.inf)
        if not far.shape[1]:
            return torch.full_like(self.spot.along, torch.inf), torch.zeros_like(self.spot.along)
        gap, which = far.min(dim=1)
        return gap.clamp(min=0), self.traffic.speed.gather(1, which[:, None]).squeeze(1)

    def _ego(self) -> Tensor:
        return torch.stack([self.vehicles.x, self.vehicles.y, self.vehicles.heading], dim=1)

    def _cars(self) -> Tensor:
        side = -self.traffic.wish.sign() * self.config.lane_m / 2
        cars = self.roads.at(self.traffic.along, side)
        cars[..., 2] += torch.where(self.traffic.wish < 0, torch.pi, 0)
        return cars

    def _cones(self) -> Tensor:
        return self.roads.at(*self.traffic.cone.unbind(2))[..., :2]

    def _scene(self) -> Scene:
        roads, vehicles = self.roads, self.vehicles
        frame = (self.noise + 7717 * self.steps) % BANK
        return Scene(
            roads.layers,
            roads.middle,
            roads.half,
            self._ego(),
            vehicles.speed,
            vehicles.yaw_rate,
            self._cars(),
            self.traffic.paint,
            self._cones(),
            frame,
            self.look,
            self.config.lane_m,
            vehicles.period_s,
        )
