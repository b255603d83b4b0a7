"""Worlds to drive in. One file per simulator.

A simulator's Config has ``build(count: int, seed: int) -> Simulator``: at most ``count`` worlds that step together,
behind gymnasium's ``VectorEnv`` interface.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

Looks = tuple[NDArray[np.uint8], NDArray[np.float32] | None]  # pictures (n, V, 3, H, W), and points (n, P, 3)


class Seen(dict[str, Any]):
    """An observation whose pictures, and with them its points, are made by ``look(worlds)`` when first asked for.

    They can no longer be made once the worlds have moved on. Those of all worlds are in ``["images"]``.
    """

    def __init__(self, state: NDArray[np.float32], look: Callable[[NDArray[np.bool_]], Looks]):
        super().__init__(state=state)
        self.of = look  # (n,) -> what these worlds show; of the others, anything

    def __missing__(self, key: str) -> Any:
        if key != "images":
            raise KeyError(key)
        self["images"], points = self.of(np.ones(len(self["state"]), bool))
        if points is not None:
            self["points"] = points
        return self["images"]


class Simulator(VectorEnv):
    """``num_envs`` worlds. Observations are ``{"images": (n, V, 3, H, W) uint8, "state": (n, S) float32}``, and with
    depth cameras ``"points": (n, P, 3) float32``, metres in the robot's frame (see ``causeway.points``); or a ``Seen``
    of these, where pictures are dear.

    ``reset(seed=[...])`` gives world i the episode of seed i, the same whoever drives it. Autoreset is disabled: a
    finished world stays as it is until ``reset(options={"reset_mask": mask})``. From the step on which a world ends,
    ``infos`` holds ``end``: (n,) str, "" while the episode goes on, else how it ended ("completed", or a failure), and
    at each step ``completion``: (n,) in 0..1, and any measured signal as ``signal_NAME``: (n,) float.
    Worlds that can crash one by one say so in ``error``: (n,) str, "" while all is well; one that has crashed rests
    until it is reset.
    """

    rate_hz: float
    cameras: tuple[str, ...]
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    ends: tuple[str, ...] = ()  # all the ways in which an episode may end; none where nobody has said

    @property
    def points(self) -> int:
        """P, how many points an observation holds; 0 where it holds no cloud."""
        shown: Any = self.single_observation_space
        return int(shown["points"].shape[0]) if "points" in shown.spaces else 0

    @abstractmethod
    def expert(self) -> NDArray[np.float32]:
        """What the built-in expert would do now, from the true state: (n, A)."""

    @abstractmethod
    def render(self) -> Any:
        """Pictures for people: (n, H, W, 3) uint8."""
