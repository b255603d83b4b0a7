"""One world behind gymnasium's `Env`, and domain randomization as a wrapper."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from . import Simulator


class Single(gymnasium.Env):
    """One world of `lanes` for tools that expect gymnasium's `Env`."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012
    render_mode = "rgb_array"

    def __init__(self, worlds: Simulator):
        self.worlds = worlds
        self.observation_space, self.action_space = worlds.single_observation_space, worlds.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin the episode of `seed`, or the next one of those that follow from the last seed given."""
        super().reset(seed=seed)
        episode = int(self.np_random.integers(2**31)) if seed is None else seed
        return _first(*self.worlds.reset(seed=[episode], options=options))  # type: ignore[arg-type]

    def step(self, action: NDArray[np.float32]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Drive one period."""
        observation, reward, ended, cut, infos = self.worlds.step(np.asarray(action)[None])
        return (
            _first(observation, infos)[0],
            float(reward[0]),
            bool(ended[0]),
            bool(cut[0]),
            _first(observation, infos)[1],
        )

    def render(self) -> Any:
        """A picture for people."""
        return self.worlds.render()[0]


def _first(observation: dict[str, Any], infos: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {name: value[0] for name, value in observation.items()}, {name: value[0] for name, value in infos.items()}


class Randomized(gymnasium.vector.VectorWrapper):
    """Domain randomization: each episode of `worlds` draws its look, camera and dynamics anew, from its seed."""

    def __init__(self, worlds: Simulator, amount: float = 1.0):
        super().__init__(worlds)
        self.amount = amount

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset, wandering by `amount` from the preset of the worlds."""
        return self.env.reset(seed=seed, options={**(options or {}), "randomize": self.amount})
