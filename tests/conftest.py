"""Fixtures that several test modules share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from causeway.data import Domain, Moments

torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--data", type=Path, default=None, help="the folder of real recordings; without it such tests skip"
    )


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> Path:
    folder = request.config.getoption("--data")
    if folder is None:
        pytest.skip("real recordings: give their folder with --data")
    return Path(folder).resolve()


@pytest.fixture
def moments() -> Callable[..., Moments]:
    """Make moments whose first action can be read off the picture: a bright bar that stands where to steer."""

    def make(count: int = 60, seed: int = 0, tint: float = 0.0, horizon: int = 1, state: int = 1) -> Moments:
        rng = np.random.default_rng(seed)
        steer = rng.uniform(-1, 1, count).astype(np.float32)
        frames = rng.integers(0, 60, (count, 1, 3, 32, 48)).astype(np.uint8)
        for i, s in enumerate(steer):
            column = int((s + 1) / 2 * 43)
            frames[i, 0, :, :, column : column + 5] = 200
        frames[:, :, 0] = np.clip(frames[:, :, 0] + tint, 0, 255)
        episode = np.repeat(np.arange((count + 19) // 20), 20)[:count]
        return Moments(
            frames=frames,
            state=rng.normal(size=(count, state)).astype(np.float32),
            actions=np.stack([steer, np.full(count, 0.5, np.float32)], 1),
            episode=episode,
            time_s=np.concatenate([np.arange(n) / 10.0 for n in np.bincount(episode)]),
            rows=np.arange(count),
            horizon=horizon,
            state_names=tuple(f"state_{i}" for i in range(state)),
            action_names=("steering", "throttle"),
        )

    return make


@pytest.fixture
def domains(moments: Callable[..., Moments], tmp_path: Path) -> Callable[..., tuple[Domain, Domain]]:
    """Make a source and a target with ``limit`` labels of the target."""

    def make(limit: int = 10, horizon: int = 1, state: int = 1) -> tuple[Domain, Domain]:
        sides = []
        for name, tint in (("source", 0.0), ("target", 80.0)):
            train, tune, test = (moments(60, seed + int(tint), tint, horizon, state) for seed in (0, 1, 2))
            count = len(train) if name == "source" else limit
            labelled = train.select(np.arange(count))
            guessed = train.select(np.arange(0))
            sides.append(Domain(name, labelled, train.hidden(), guessed, tune, test, cache=tmp_path / "cache"))
        return sides[0], sides[1]

    return make
