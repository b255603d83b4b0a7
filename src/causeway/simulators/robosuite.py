"""robosuite (Zhu et al. 2020): a Panda arm that lifts, stacks, sorts and opens, in MuJoCo, a process for each world.

`preset = "target"` is the other side of the gap: other textures, light, sensor, camera poses and dynamics. Whether the
main thing starts in the right half of its range, from where demonstrations of a target should come, or in the left is
the setting `start`; an evaluation that starts anywhere tells the two apart by the signal `uncovered`.

Actions are robosuite's OSC_POSE: motions of the gripper in -1..1 of 5 cm and 0.5 rad a step, and the gripper, -1 open
to 1 closed. State is the gripper's place (metres) and turn (a quaternion, real part first) in the frame of the robot's
base, and its opening (metres). An episode ends "completed" when robosuite says so, "lost" when the thing has fallen off
the table, or "timeout". Pictures are rendered when ``observation["images"]`` is first read after a step, or, by
``observation.of(worlds)``, those of some worlds alone: who executes several actions before looking again does not pay
for what nobody sees in between.

Needs `pip install -e ".[robosuite]"` and, on Debian, `apt install libegl1 libgl1-mesa-dri`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ..errors import ConfigError, MissingExtra
from . import Looks, Seen, Simulator
from ._presets import mixed
from ._processes import Crash, Remote
from ._robosuite_eye import refuse_blind
from ._robosuite_presets import PRESETS, Camera, Dynamics, Look, Name, Preset, Task
from ._robosuite_world import PHYSICS_HZ, Moment, World


@dataclass(frozen=True)
class Config:
    """A task, in a look."""

    task: Task = "Lift"  # which of robosuite's
    preset: Name = "source"  # the look, the cameras and the dynamics: "target" is the other side of the gap
    look: Name | Look | None = None  # another look than the preset's: a name, or a table of its numbers
    camera: Name | Camera | None = None  # other camera poses than the preset's
    dynamics: Name | Dynamics | None = None  # other dynamics than the preset's
    start: Literal["anywhere", "covered", "uncovered"] = "anywhere"  # where the main thing is when an episode begins
    cameras: tuple[str, ...] = ("agentview", "robot0_eye_in_hand")  # which of robosuite's, in which order
    height: int = 84  # of a picture, in pixels
    width: int = 84  # of a picture, in pixels
    depth: bool = False  # whether an observation holds the cloud of points that the cameras measure over the table
    points: int = 256  # of such a cloud: more shows finer things, slower
    rate_hz: float = 20.0  # frames and commands per second
    limit_s: float = 0.0  # when an episode is cut off as a timeout; 0 is what suits the task
    controller_hz: float = 100.0  # how often torques are computed; robosuite's own 500 is three times slower
    fast: bool = True  # no reflections and no antialiasing, which would triple the time of a picture
    processes: int = 2  # worlds at most, each in a process of its own: as many as there are processors
    gl: Literal["egl", "osmesa"] = "egl"  # the library that renders without a screen

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 8 or self.processes < 1 or self.limit_s < 0 or not self.cameras:
            raise ConfigError("needs pictures of 8 pixels or more, a camera, a process and a limit_s of 0 or more.")
        if self.points < 1:
            raise ConfigError(f"points must be 1 or more, not {self.points}.")
        if not (0 < self.rate_hz <= self.controller_hz <= PHYSICS_HZ):
            raise ConfigError(f"needs 0 < rate_hz <= controller_hz <= {PHYSICS_HZ}.")
        for name in ("rate_hz", "controller_hz"):
            if PHYSICS_HZ % getattr(self, name):
                raise ConfigError(
                    f"{name} must divide the {PHYSICS_HZ} Hz of the physics, not be {getattr(self, name)}."
                )
        delay_s = self.settings().dynamics.delay_s
        if delay_s * self.rate_hz % 1:
            raise ConfigError(f"dynamics.delay_s = {delay_s} is no whole number of steps of {1 / self.rate_hz:g} s.")

    def build(self, count: int, seed: int = 0) -> "Robosuite":
        if find_spec("robosuite") is None:
            raise MissingExtra("simulator 'robosuite'", "robosuite", "robosuite")
        refuse_blind(self.gl)
        return Robosuite(self, min(count, self.processes), seed)

    def settings(self) -> Preset:
        """The look, camera and dynamics that the preset and the settings that replace parts of it come to."""
        return mixed(PRESETS, self.preset, self.look, self.camera, self.dynamics)


class Robosuite(Simulator):
    """n worlds. Reset them before anything else."""

    state_names = ("eef_x_m", "eef_y_m", "eef_z_m", "eef_qw", "eef_qx", "eef_qy", "eef_qz", "gripper_m")
    action_names = ("x", "y", "z", "turn_x", "turn_y", "turn_z", "gripper")
    ends = ("completed", "lost", "timeout")
    metadata = {"autoreset_mode": AutoresetMode.DISABLED, "render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012
    render_mode = "rgb_array"

    def __init__(self, config: Config, count: int, seed: int = 0):
        self.config, self.num_envs, self.seed, self.rate_hz = config, count, seed, config.rate_hz
        self.cameras = config.cameras
        shape = (len(config.cameras), 3, config.height, config.width)
        state = spaces.Box(-10, 10, (len(self.state_names),), np.float32)
        shown: dict[str, spaces.Space[Any]] = {"images": spaces.Box(0, 255, shape, np.uint8), "state": state}
        if config.depth:
            shown["points"] = spaces.Box(-10, 10, (config.points, 3), np.float32)
        self.single_observation_space = spaces.Dict(shown)
        self.single_action_space = spaces.Box(-1, 1, (len(self.action_names),), np.float32)
        self.observation_space = batch_space(self.single_observation_space, count)
        self.action_space = batch_space(self.single_action_space, count)
        self.remotes = [Remote(partial(World, config, config.settings())) for _ in range(count)]
        still = Moment(np.zeros(len(self.state_names), np.float32), 0.0, "", False)
        self.moments, self.errors = [still] * count, [""] * count
        self.pictures = np.zeros((count, *shape), np.uint8)
        self.clouds = np.zeros((count, config.points, 3), np.float32)
        self.age = 0  # observations so far
        self.episodes = 0  # begun so far without a seed of their own

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin the episodes of `seed`: one per world, or a first one to count up from, or the next of our own.

        `options` may hold `reset_mask`, (n,) bool.
        """
        chosen = np.flatnonzero((options or {}).get("reset_mask", np.ones(self.num_envs, bool))).tolist()
        seeds = [seed + k for k in range(self.num_envs)] if isinstance(seed, int | np.integer) else seed
        if seeds is not None and len(seeds) != self.num_envs:
            raise ValueError(f"there are {self.num_envs} worlds and {len(seeds)} seeds.")
        for world in chosen:
            given = seeds[world] if seeds is not None else None
            self.errors[world] = ""
            self.remotes[world].ask("begin", self._next_seed() if given is None else int(given))
        self._take(chosen)
        return self._observation(), self._infos()

    def _next_seed(self) -> int:
        self.episodes += 1
        return int(np.random.default_rng((self.seed, self.episodes)).integers(2**31))

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[dict[str, Any], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Move all worlds by one period; those that have ended or crashed stay as they are."""
        commands = np.asarray(actions, np.float32)
        if commands.shape != self.action_space.shape:
            raise ValueError(f"robosuite needs commands of shape {self.action_space.shape}, not {commands.shape}.")
        alive = self._alive()
        for world in alive:
            self.remotes[world].ask("step", commands[world])
        self._take(alive)
        ends = np.array([moment.end for moment in self.moments])
        reward = np.zeros(self.num_envs, np.float32)
        reward[alive] = [self.moments[world].completion for world in alive]
        return self._observation(), reward, np.isin(ends, ["completed", "lost"]), ends == "timeout", self._infos()

    def expert(self) -> NDArray[np.float32]:
        """Scripted, from the true places of things and gripper."""
        commands = np.zeros((self.num_envs, len(self.action_names)), np.float32)
        alive = self._alive()
        for world in alive:
            self.remotes[world].ask("expert")
        for world in alive:
            commands[world] = self._answer(world, commands[world])
        return commands

    def render(self) -> Any:
        """What the cameras show, side by side and four times as fine: (n, 4 H, 4 V W, 3) uint8; black after a crash."""
        height, width = 4 * self.config.height, 4 * self.config.width * len(self.cameras)
        whole = [world for world in range(self.num_envs) if not self.errors[world]]
        for world in whole:
            self.remotes[world].ask("show")
        blank = np.zeros((self.num_envs, height, width, 3), np.uint8)
        for world in whole:
            blank[world] = self._answer(world, blank[world])
        return blank

    def close(self, **kwargs: Any) -> None:
        """End the worlds' processes."""
        for remote in self.remotes:
            remote.close()

    def _alive(self) -> list[int]:
        return [w for w in range(self.num_envs) if not self.moments[w].end and not self.errors[w]]

    def _take(self, worlds: Sequence[int]) -> None:
        for world in worlds:
            self.moments[world] = self._answer(world, self.moments[world])

    def _answer(self, world: int, otherwise: Any) -> Any:
        """What a world answers; one that crashed rests until it is reset, and the others go on."""
        try:
            return self.remotes[world].answer()
        except Crash as crash:
            self.errors[world] = str(crash)
            return otherwise

    def _observation(self) -> Seen:
        self.age = age = self.age + 1

        def look(worlds: NDArray[np.bool_]) -> Looks:
            if age != self.age:
                raise ValueError(
                    "the worlds have moved on since this observation: read its images before the next step"
                )
            return self._look(worlds)

        return Seen(np.stack([moment.state for moment in self.moments]), look)

    def _look(self, worlds: NDArray[np.bool_]) -> Looks:
        """(n, V, 3, H, W) and (n, P, 3): what the cameras of ``worlds`` (n,) show now; of others and of those at rest,
        what they last showed.
        """
        alive = [world for world in self._alive() if worlds[world]]
        for world in alive:
            self.remotes[world].ask("see")
        for world in alive:
            self.pictures[world], cloud = self._answer(world, (self.pictures[world], None))
            if cloud is not None:
                self.clouds[world] = cloud
        return self.pictures.copy(), self.clouds.copy() if self.config.depth else None

    def _infos(self) -> dict[str, Any]:
        return {
            "end": np.array([moment.end for moment in self.moments], dtype=object),
            "error": np.array(self.errors, dtype=object),
            "completion": np.array([moment.completion for moment in self.moments]),
            "signal_uncovered": np.array([float(moment.uncovered) for moment in self.moments]),
        }
