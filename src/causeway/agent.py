"""What is deployed and what is evaluated: a bridge, a policy, an action map and a monitor, in that order."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .actions import ActionMap
from .bridges import Bridge
from .monitors import Monitor
from .policies import Policy


@dataclass
class Agent:
    """Drives n vehicles at once. Everything in it is in evaluation mode, and nothing learns."""

    policy: Policy
    bridge: Bridge
    action: ActionMap
    monitor: Monitor
    execute: int = 1  # actions of a plan that are carried out before the next look
    intervened: NDArray[np.bool_] = field(init=False, repr=False, compare=False)  # (n,) by the monitor, last
    plans: NDArray[np.float32] | None = field(init=False, repr=False, compare=False, default=None)  # (n, T, A)
    age: NDArray[np.int64] = field(init=False, repr=False, compare=False)  # (n,) actions of it carried out

    def __post_init__(self) -> None:
        self.age = np.zeros(0, np.int64)
        self.policy.eval()
        self.bridge.eval()

    def reset(self, fresh: NDArray[np.bool_]) -> None:
        """Begin new episodes in the ``fresh`` (n,) vehicles."""
        if len(self.age) != len(fresh):
            self.age, self.plans = np.zeros(len(fresh), np.int64), None
        self.age[fresh] = self.execute
        self.action.reset(fresh)
        self.monitor.reset(fresh)

    @property
    def looks(self) -> bool:
        """Whether any vehicle has carried out its plan as far as it goes, so that ``act`` needs pictures."""
        return bool((self.age >= self.execute).any())

    def act(self, images: NDArray[np.uint8] | None, state: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pictures (n, V, 3, H, W) at the policy's size and state (n, S) -> commands (n, A).

        ``images`` may be None while nobody ``looks``.
        """
        if len(self.age) != len(state):
            self.reset(np.ones(len(state), bool))
        due = self.age >= self.execute
        if due.any():
            assert images is not None
            fresh = self.plan(torch.from_numpy(images[due]), torch.from_numpy(state[due]))
            if self.plans is None:
                self.plans = np.zeros((len(due), *fresh.shape[1:]), np.float32)
            self.plans[due], self.age[due] = fresh, 0
        assert self.plans is not None
        horizon = self.plans.shape[1]
        ahead = np.minimum(self.age[:, None] + np.arange(horizon), horizon - 1)  # the last action repeats at the end
        self.age += 1
        return self.command(self.plans[np.arange(len(due))[:, None], ahead])

    @torch.inference_mode()
    def plan(self, images: Tensor, state: Tensor) -> NDArray[np.float32]:
        """Pictures (n, V, 3, H, W) and state (n, S) -> the policy's chunks of actions (n, T, A); remembers nothing."""
        device = self.policy.action_mean.device
        chunk: NDArray[np.float32] = self.policy.act(self.bridge(images.to(device)), state.to(device)).cpu().numpy()
        return chunk

    def command(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        """Chunks (n, T, A) -> commands (n, A), through the action map and the monitor."""
        meant = self.action(chunk)
        safe = self.monitor(meant.copy())
        self.intervened = ((safe != meant) & np.isfinite(safe)).any(1)
        return safe
