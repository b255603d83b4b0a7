"""What is deployed and what is evaluated: a bridge, a policy, an action map and a monitor, in that order."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .actions import ActionMap
from .agreement import Names
from .bridges import Bridge
from .data import Spec
from .errors import DataError
from .monitors import Monitor
from .policies import Policy

NOBODY = Names((), ())  # has said what the numbers mean


@dataclass
class Agent:
    """Drives n vehicles at once. Everything in it is in evaluation mode, and nothing learns."""

    policy: Policy
    bridge: Bridge
    action: ActionMap
    monitor: Monitor
    execute: int = 1  # actions of a plan that are carried out before the next look
    names: Names = NOBODY  # of state, actions and cameras, in their order; none where nobody knows
    intervened: NDArray[np.bool_] = field(init=False, repr=False, compare=False)  # (n,) by the monitor, last
    plans: NDArray[np.float32] | None = field(init=False, repr=False, compare=False, default=None)  # (n, T, A)
    age: NDArray[np.int64] = field(init=False, repr=False, compare=False)  # (n,) actions of it carried out
    memory: "Memory" = field(init=False, repr=False, compare=False)  # of what was seen last
    pasts: dict[int, Any] = field(init=False, repr=False, compare=False)  # by vehicle, what its bridge remembers
    frame: Spec = field(init=False, repr=False, compare=False)  # the shapes of what is seen at once

    def __post_init__(self) -> None:
        self.age, self.memory, self.pasts = np.zeros(0, np.int64), Memory(self.policy.spec.history), {}
        self.frame = self.policy.spec.frame
        self.policy.eval()
        self.bridge.eval()

    def reset(self, fresh: NDArray[np.bool_]) -> None:
        """Begin new episodes in the ``fresh`` (n,) vehicles. Raises DataError unless that is an array of bool."""
        if not isinstance(fresh, np.ndarray) or fresh.dtype != bool or fresh.ndim != 1:
            raise DataError(f"The agent resets by (n,) of bool, one for each vehicle, not {fresh!r}.")
        if len(self.age) != len(fresh):
            self.age, self.plans, self.pasts = np.zeros(len(fresh), np.int64), None, {}
        self.age[fresh] = self.execute
        self.bridge.clip(0)
        self.pasts = {vehicle: past for vehicle, past in self.pasts.items() if not fresh[vehicle]}
        self.action.reset(fresh)
        self.monitor.reset(fresh)
        self.memory.forget(fresh)

    @property
    def looks(self) -> NDArray[np.bool_]:
        """(n,) whose pictures ``act`` needs: of those about to plan anew, or to remember them for when they do."""
        return self.age + self.memory.history > self.execute

    def act(
        self, images: NDArray[np.uint8] | None, state: NDArray[np.float32], points: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Pictures (n, V, 3, H, W) at the policy's size, state (n, S), perhaps points (n, P, 3) -> commands (n, A).

        Pictures and points of vehicles that do not ``looks`` may hold anything, and be None while nobody does; a policy
        for clouds needs no pictures. Raises DataError where a shape or type is another.
        """
        if not isinstance(state, np.ndarray) or state.ndim != 2:
            what = f"{state.dtype} of shape {state.shape}" if isinstance(state, np.ndarray) else type(state).__name__
            raise DataError(f"The agent needs state (n, {self.frame.state}) as a numpy array of float32, not {what}.")
        one, count = self.frame, len(state)
        self._refuse_other("state", state, count, (one.state,), "float32")
        if len(self.age) != count:
            self.reset(np.ones(count, bool))
        if self.policy.spatial:
            self._refuse_other("points", points, count, (one.points, 3), "float32")
            images = None if points is None else np.zeros((count, 1, 3, 1, 1), np.uint8)
        else:
            self._refuse_other("pictures", images, count, (one.cameras, 3, one.height, one.width), "uint8")
        due = self.age >= self.execute
        clouds = () if points is None else (points,)
        seen = () if images is None else self.memory.stacked(images, state, *clouds)
        if due.any():
            shown, *felt = (torch.from_numpy(part[due]) for part in seen)
            if self.remembers:
                fresh = self._planned(self._followed(shown, due), *felt)
            else:
                fresh = self.plan(shown, *felt)
            if self.plans is None:
                self.plans = np.zeros((len(due), *fresh.shape[1:]), np.float32)
            self.plans[due], self.age[due] = fresh, 0
        assert self.plans is not None
        horizon = self.plans.shape[1]
        ahead = np.minimum(self.age[:, None] + np.arange(horizon), horizon - 1)  # the last action repeats at the end
        self.age += 1
        return self.command(self.plans[np.arange(len(due))[:, None], ahead])

    def _refuse_other(
        self, what: str, given: NDArray[Any] | None, count: int, shape: tuple[int, ...], kind: str
    ) -> None:
        """Raise DataError unless ``given`` is (count, *shape) of ``kind``, or nothing while nobody looks."""
        if given is None:
            if self.looks.any():
                raise DataError(f"The agent looks now, and needs {what} {(count, *shape)}.")
        elif not isinstance(given, np.ndarray):
            raise DataError(f"The agent needs {what} {(count, *shape)} as a numpy array, not {type(given).__name__}.")
        elif given.shape != (count, *shape) or given.dtype != kind:
            raise DataError(f"The agent needs {what} {(count, *shape)} of {kind}, not {given.shape} of {given.dtype}.")

    @torch.inference_mode()
    def plan(
        self, images: Tensor, state: Tensor, points: Tensor | None = None, *, following: bool = False
    ) -> NDArray[np.float32]:
        """Pictures (n, O * V, 3, H, W), state (n, O * S), perhaps points (n, O * P, 3) -> chunks of actions (n, T, A).

        The O frames of a history are given to it stacked, the oldest first. It remembers nothing, unless the pictures
        are said to be n that are ``following`` one another, and the last ones, in a clip, when its bridge may.
        """
        device = self.policy.action_mean.device
        redraw = self.bridge.along if following and self.remembers else self.bridge
        return self._planned(redraw(images.to(device)), state, points)

    @property
    def remembers(self) -> bool:
        """Whether its bridge makes use of what came before; the frames of a history do not follow one another."""
        return self.bridge.remembers and self.memory.history == 1

    @torch.inference_mode()
    def _followed(self, images: Tensor, due: NDArray[np.bool_]) -> Tensor:
        """Pictures of the vehicles that are ``due``, redrawn each after what that one saw last."""
        device, drawn = self.policy.action_mean.device, []
        for vehicle, image in zip(np.flatnonzero(due).tolist(), images):
            self.bridge.past = self.pasts.get(vehicle)
            drawn.append(self.bridge.along(image[None].to(device)))
            self.pasts[vehicle] = self.bridge.past
        return torch.cat(drawn)

    @torch.inference_mode()
    def _planned(self, drawn: Tensor, state: Tensor, points: Tensor | None = None) -> NDArray[np.float32]:
        device = self.policy.action_mean.device
        cloud = None if points is None else points.to(device)
        planned = self.policy.act(drawn, state.to(device), cloud)
        chunk: NDArray[np.float32] = planned.cpu().numpy()
        return chunk

    def command(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        """Chunks (n, T, A) -> commands (n, A), through the action map and the monitor."""
        meant = self.action(chunk)
        safe = self.monitor(meant.copy())
        self.intervened = ((safe != meant) & np.isfinite(safe)).any(1)
        return safe


class Memory:
    """What n vehicles saw last: O frames, of which one that has seen fewer repeats the first."""

    def __init__(self, history: int):
        self.history = history
        self.past: tuple[NDArray[Any], ...] = ()  # (n, O, ...) each
        self.fresh: NDArray[np.bool_] = np.zeros(0, bool)  # (n,) who has seen nothing yet

    def forget(self, fresh: NDArray[np.bool_]) -> None:
        """What the ``fresh`` (n,) vehicles see next is the first they see."""
        if fresh.all():
            self.past = ()
        elif self.past:
            self.fresh = self.fresh | fresh

    def stacked(self, *seen: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """What is ``seen`` now, (n, K, ...) each, after that of the last looks: (n, O * K, ...) each, oldest first."""
        if self.history == 1:
            return seen
        if not self.past:
            self.past = tuple(np.repeat(part[:, None], self.history, 1) for part in seen)
        else:
            self.past = tuple(np.concatenate([p[:, 1:], part[:, None]], 1) for p, part in zip(self.past, seen))
            for past, part in zip(self.past, seen):
                past[self.fresh] = part[self.fresh, None]
        self.fresh = np.zeros(len(seen[0]), bool)
        return tuple(past.reshape(len(past), -1, *past.shape[3:]) for past in self.past)
