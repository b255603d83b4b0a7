"""Drive an agent through the episodes of a simulator, and keep what happened."""

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .agent import Agent
from .cache import Crop, fit
from .errors import ConfigError, DataError
from .evaluate import Evaluation
from .metrics import Trace
from .progress import counted
from .simulators import Seen

Step = tuple[NDArray[np.float32], dict[str, float]]  # the command (A,), and what the world said of itself then


def drive(
    agent: Agent, simulator: Any, settings: Evaluation, picture: tuple[int, int], crop: Crop | None = None
) -> list[Trace]:
    """The traces of ``settings.episodes`` closed-loop episodes of ``simulator`` (a Config), by ascending seed.

    A world begins the next episode as soon as its last has ended. Pictures are cropped and brought to ``picture``. A
    world that crashes loses its episode alone; a simulator that does loses those at hand, and is built anew.
    """
    left = deque(range(settings.first_seed, settings.first_seed + settings.episodes))
    found: dict[int, Trace] = {}
    with counted("driving", settings.episodes, "episodes") as advance:
        while left:
            drives = _Drives(agent, picture, crop)
            try:
                drives.begin(simulator.build(count=min(settings.worlds, len(left)), seed=0), left)
                while drives.seeds.count(None) < len(drives.seeds):
                    for seed, trace in drives.step():
                        found[seed] = trace
                        advance(1)
                    drives.refill(left)
            except (ImportError, ConfigError, DataError):  # something is missing or wrongly set: no fault of an episode
                raise
            except Exception as caught:  # a crash is a fact of these episodes, counted and never scored
                error = f"{type(caught).__name__}: {caught}"
                if not drives.seeds:  # it was not even begun: no other episode will be
                    drives.seeds = [*left]
                    left.clear()
                lost = {seed: drives.trace(world, error) for world, seed in enumerate(drives.seeds) if seed is not None}
                found |= lost
                advance(len(lost))
            finally:
                drives.close()
    return [found[seed] for seed in sorted(found)]


class _Drives:
    """The worlds at hand, each with the seed of its episode and what has happened in it."""

    def __init__(self, agent: Agent, picture: tuple[int, int], crop: Crop | None):
        self.agent, self.picture, self.crop = agent, picture, crop
        self.worlds: Any = None
        self.seeds: list[int | None] = []  # None for a world that has nothing left to do
        self.past: list[list[Step]] = []

    def begin(self, worlds: Any, left: deque[int]) -> None:
        """Give every world its first episode."""
        self.worlds = worlds
        self.seeds, self.past = [left.popleft() for _ in range(worlds.num_envs)], [[] for _ in range(worlds.num_envs)]
        self.seen, _ = worlds.reset(seed=self.seeds)
        self.agent.reset(np.ones(worlds.num_envs, bool))

    def step(self) -> list[tuple[int, Trace]]:
        """One step of all worlds; the episodes that have ended by it."""
        command = self.agent.act(*observed(self.seen, self.picture, self.crop, self.agent.looks))
        busy = np.array([seed is not None for seed in self.seeds])
        if not np.isfinite(command[busy]).all():
            raise FloatingPointError(f"the agent's command is {command[busy][~np.isfinite(command[busy])][0]}")
        self.seen, _, _, _, info = self.worlds.step(command)
        info = info | {"signal_intervened": self.agent.intervened}
        errors = info.get("error", np.full(len(busy), ""))
        ended = []
        for world in np.flatnonzero(busy).tolist():
            facts = {key: float(info[key][world]) for key in info if key == "completion" or key.startswith("signal_")}
            self.past[world].append((command[world].copy(), facts))
            if info["end"][world] or errors[world]:
                trace = self.trace(world, str(errors[world]), str(info["end"][world]))
                ended.append((self.seeds[world], trace))
                self.seeds[world] = None
        return ended  # type: ignore[return-value]

    def refill(self, left: deque[int]) -> None:
        """Give worlds that have nothing to do the next episodes that are left."""
        idle = np.array([seed is None for seed in self.seeds])
        fresh = idle & (idle.cumsum() <= len(left))
        if not fresh.any():
            return
        for world in np.flatnonzero(fresh).tolist():
            self.seeds[world], self.past[world] = left.popleft(), []
        self.seen, _ = self.worlds.reset(seed=[seed or 0 for seed in self.seeds], options={"reset_mask": fresh})
        self.agent.reset(fresh)

    def trace(self, world: int, error: str, end: str = "") -> Trace:
        """What has happened in a world's episode so far."""
        past = self.past[world] if self.past else []
        name = str(self.seeds[world])
        if not past:
            return Trace(name, np.zeros((0, 1), np.float32), error=error)
        keys = [key for key in past[0][1] if key != "completion"]
        return Trace(
            name=name,
            actions=np.stack([command for command, _ in past]),
            end="" if error else end,
            completion=past[-1][1]["completion"],
            signals={key.removeprefix("signal_"): np.array([f[key] for _, f in past], np.float32) for key in keys},
            error=error,
            ends=self.worlds.ends,
        )

    def close(self) -> None:
        if self.worlds is not None:
            with suppress(Exception):  # what cannot even be closed has said why before
                self.worlds.close()


def observed(
    seen: Mapping[str, Any], picture: tuple[int, int], crop: Crop | None, looks: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8] | None, NDArray[np.float32], NDArray[np.float32] | None]:
    """What an Agent is shown of a simulator's observation: pictures, state, and points where there are some.

    Where a simulator makes pictures on demand, only worlds that somebody ``looks`` (n,) at make any.
    """
    if not looks.any():
        return None, seen["state"], None
    images, points = seen.of(looks) if isinstance(seen, Seen) else (seen["images"], seen.get("points"))
    return resized(images, picture, crop), seen["state"], points


def resized(images: NDArray[np.uint8], picture: Sequence[int], crop: Crop | None) -> NDArray[np.uint8]:
    """Pictures (n, V, 3, h, w) cropped and resized as the training frames were: (n, V, 3, H, W). Raises DataError."""
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 5 or images.shape[2] != 3:
        what = f"{images.dtype} of shape {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise DataError(
            f"Pictures must be uint8 (n, V, 3, h, w), not {what}. Of one camera's frame (h, w, 3) make them by: "
            "frame.transpose(2, 0, 1)[None, None]"
        )
    height, width = picture
    if images.shape[-2:] == (height, width) and (crop is None or crop == Crop()):
        return images
    flat = images.reshape(-1, *images.shape[-3:]).transpose(0, 2, 3, 1)
    fitted = np.stack([fit(np.ascontiguousarray(image), height, width, crop or Crop()) for image in flat])
    return np.ascontiguousarray(fitted.transpose(0, 3, 1, 2)).reshape(*images.shape[:3], height, width)
