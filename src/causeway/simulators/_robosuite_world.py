"""One world of `robosuite`, in the process that it has for itself."""

import logging
import os
from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, nearest
from ..points import crop, farthest, unproject
from ._robosuite_experts import EXPERTS
from ._robosuite_eye import Eye, aim, paint
from ._robosuite_presets import LAYOUTS, Preset

PHYSICS_HZ = 500
LOST_M = 0.15  # how far below its start a thing may fall before it counts as lost
TRIES = 1000  # of drawing a start that lies where it should


class Moment(NamedTuple):
    """What a world is like after a step."""

    state: NDArray[np.float32]  # (S,)
    completion: float  # robosuite's shaped reward, 0..1
    end: str
    uncovered: bool


class World:
    """A robosuite environment without its renderer and observables, which cost more than the physics."""

    def __init__(self, settings: Any, preset: Preset):
        logging.disable(logging.WARNING)  # robosuite warns of what nobody here uses
        os.environ["MUJOCO_GL"] = settings.gl  # else the user's could name a library that is not there
        import mujoco
        import robosuite

        self.mujoco, self.settings, self.preset, self.layout = mujoco, settings, preset, LAYOUTS[settings.task]
        self.env = robosuite.make(
            settings.task,
            robots="Panda",
            has_renderer=False,
            has_offscreen_renderer=False,
            use_camera_obs=False,
            control_freq=settings.rate_hz,
            reward_shaping=True,
            ignore_done=True,
            hard_reset=False,
            seed=0,  # of the sizes of things, which are drawn once
        )
        self.sim = self.env.sim
        self.model, self.data = self.sim.model._model, self.sim.data._data
        self.robot = self.env.robots[0]
        self.base = np.asarray(self.robot.base_pos)
        self._spread()
        self._change_dynamics()
        self._refuse_unknown_cameras()
        aim(self.model, preset.camera, settings.cameras)
        paint(self.model, preset.look)
        self.eye: Eye | None = None  # made when something is first looked at
        self.large_eye: Eye | None = None  # for people

    def _refuse_unknown_cameras(self) -> None:
        known = [self.model.camera(number).name for number in range(self.model.ncam)]
        for name in self.settings.cameras:
            if name not in known:
                raise ConfigError(f"simulator 'robosuite': there is no camera '{name}'. {nearest(name, known)}")

    def _spread(self) -> None:
        """Draw the things' places from the ranges of the layout."""
        sampler = self.env.placement_initializer
        self.samplers = [sampler, *getattr(sampler, "samplers", {}).values()]
        for one in self.samplers if self.layout.x_m else ():
            one.x_range, one.y_range = self.layout.x_m, self.layout.y_m

    def _change_dynamics(self) -> None:
        dynamics, model = self.preset.dynamics, self.model
        things = {self.sim.model.body_name2id(thing.root_body) for thing in self.env.model.mujoco_objects}
        for body in range(model.nbody):
            if things & set(_ancestors(model, body)):
                model.body_mass[body] *= dynamics.mass
                model.body_inertia[body] *= dynamics.mass
        model.geom_friction[:, 0] *= dynamics.friction
        model.dof_damping[self.robot._ref_joint_vel_indexes] *= dynamics.damping
        self.mujoco.mj_setConst(model, self.mujoco.MjData(model))  # what MuJoCo works out from masses

    def begin(self, seed: int) -> Moment:
        """The episode of ``seed``: where things stand, and how the arm does, are its function alone."""
        for attempt in range(TRIES):
            random = np.random.default_rng((seed, attempt))
            for drawing in (self.env, *self.samplers):
                drawing.rng = random
            self.env.reset()
            self.uncovered = self.place()[1] > self._middle()
            if self.settings.start == "anywhere" or (self.settings.start == "uncovered") == self.uncovered:
                break
        else:
            raise ValueError(f"no start is '{self.settings.start}'")
        self.seed, self.steps, self.end, self.lowest = seed, 0, "", self.place()[2] - LOST_M
        delay = round(self.preset.dynamics.delay_s * self.settings.rate_hz)
        still = np.zeros(self.env.action_dim, np.float32)
        still[-1] = -1  # open
        self.waiting = deque([still] * delay)
        return self._moment()

    def place(self) -> NDArray[np.float64]:
        """Where the main thing is (3,), metres in the world."""
        place: NDArray[np.float64] = self.data.xpos[self.sim.model.body_name2id(self.layout.thing)]
        return place

    def _middle(self) -> float:
        """Of the range that the main thing's left-right place is drawn from: demonstrations of the target lie right."""
        for one in self.samplers:
            if any(thing.root_body == self.layout.thing for thing in getattr(one, "mujoco_objects", ())):
                left_right = getattr(one, "y_range", None)
                if left_right is not None:
                    return float(one.reference_pos[1] + np.mean(left_right))
        return 0.0

    def step(self, command: NDArray[np.float32]) -> Moment:
        """One period, or nothing if the episode has ended."""
        if self.end:
            return self._moment()
        self.waiting.append(np.clip(command, -1, 1).astype(np.float64))
        action = self.waiting.popleft().copy()
        action[:-1] *= self.preset.dynamics.gain
        held = max(1, round(PHYSICS_HZ / self.settings.controller_hz))
        for tick in range(round(PHYSICS_HZ / self.settings.rate_hz)):
            self.sim.step1()
            if tick % held == 0:  # the torques stay in between, as on a robot whose controller is slower than its world
                self.env._pre_action(action, tick == 0)
            self.sim.step2()
        self.steps += 1
        if self.env._check_success():
            self.end = "completed"
        elif self.place()[2] < self.lowest:
            self.end = "lost"
        elif self.steps >= self.limit_s * self.settings.rate_hz:
            self.end = "timeout"
        return self._moment()

    @property
    def limit_s(self) -> float:
        return float(self.settings.limit_s or self.layout.limit_s)

    def _moment(self) -> Moment:
        completion = 1.0 if self.end == "completed" else min(0.99, float(self.env.reward(None)))
        return Moment(self._state(), completion, self.end, bool(self.uncovered))

    def _state(self) -> NDArray[np.float32]:
        """Place and turn of the gripper in the frame of the robot's base, and how far it is open."""
        site = self.robot.eef_site_id["right"]
        turn = np.empty(4)
        self.mujoco.mju_mat2Quat(turn, self.data.site_xmat[site])
        turn *= np.sign(turn[np.abs(turn).argmax()])  # q and -q are the same turn
        fingers = self.data.qpos[self.robot._ref_gripper_joint_pos_indexes["right"]]
        return np.array([*(self.data.site_xpos[site] - self.base), *turn, fingers[0] - fingers[1]], np.float32)

    def see(self) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
        """(V, 3, H, W), what the cameras show now, and with ``depth`` the cloud they measure (P, 3), base frame."""
        self.eye = self.eye or self._eye(1)
        images = self.eye.see(self.data, self._noise(0), self.settings.depth)
        return images, self._cloud(self.eye) if self.settings.depth else None

    def show(self) -> NDArray[np.uint8]:
        """The pictures four times as fine, side by side, for people: (H, V W, 3)."""
        self.large_eye = self.large_eye or self._eye(4)
        return np.concatenate(list(self.large_eye.see(self.data, self._noise(2)).transpose(0, 2, 3, 1)), 1)

    def _noise(self, of: int) -> np.random.Generator:
        """Of this step's pictures, clouds or pictures for people: the same however often and by whomever it is seen."""
        return np.random.default_rng((self.seed, TRIES, self.steps, of))

    def _eye(self, times: int) -> Eye:
        s = self.settings
        return Eye(self.model, s.cameras, times * s.height, times * s.width, self.preset.look, s.gl, s.fast)

    def _cloud(self, eye: Eye) -> NDArray[np.float32]:
        """What all cameras measure inside the box over the table, as ``settings.points`` points."""
        noise = 1 + self.preset.look.depth_noise * self._noise(1).normal(size=eye.depths.shape).astype(np.float32)
        seen = [unproject(d, *eye.lens(self.data, v)) for v, d in enumerate(eye.depths * noise)]
        within = crop(np.concatenate(seen) - self.base.astype(np.float32), *self.layout.box_m)
        return farthest(within, self.settings.points)

    def expert(self) -> NDArray[np.float32]:
        """What the scripted expert would do now: (A,)."""
        return np.asarray(EXPERTS[self.settings.task](self.env), np.float32)


def _ancestors(model: Any, body: int) -> list[int]:
    """A body and everything that it hangs on."""
    found = [body]
    while body:
        body = int(model.body_parentid[body])
        found.append(body)
    return found
