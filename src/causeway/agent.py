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
    intervened: NDArray[np.bool_] = field(init=False, repr=False, compare=False)  # (n,) by the monitor, last

    def __post_init__(self) -> None:
        self.policy.eval()
        self.bridge.eval()

    def reset(self, fresh: NDArray[np.bool_]) -> None:
        """Begin new episodes in the ``fresh`` (n,) vehicles."""
        self.action.reset(fresh)
        self.monitor.reset(fresh)

    def act(self, images: NDArray[np.uint8], state: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pictures (n, V, 3, H, W) at the policy's size and state (n, S) -> commands (n, A)."""
        return self.command(self.plan(torch.from_numpy(images), torch.from_numpy(state)))

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
