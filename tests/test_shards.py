"""Redrawing in several processes gives what one gives."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from causeway import shards
from causeway.bridges import Bridge
from causeway.data import Moments
from causeway.errors import ConfigError, MissingExtra
from causeway.redraw import kept, through
from causeway.shards import Worker


class Numbered(Bridge):
    """Adds the number of its clip, and, if it ``counts``, of the picture in it."""

    def __init__(self, counts: bool = False):
        super().__init__()
        self.number, self.count, self.counts = 0, 0, counts

    @property
    def remembers(self) -> bool:
        return self.counts

    def clip(self, seed: int) -> None:
        self.number, self.count = seed, 0

    def forward(self, images: Tensor) -> Tensor:
        return (images.int() // 2 + 10 * self.number).to(torch.uint8)

    def along(self, images: Tensor) -> Tensor:
        places = torch.arange(self.count, self.count + len(images))[:, None, None, None, None]
        drawn = self(images) + self.counts * places
        self.count += len(images)
        return drawn.to(torch.uint8)


@pytest.fixture
def recorded(moments: Callable[..., Moments]) -> Moments:
    """Three episodes."""
    both = moments(120)
    frames = np.random.default_rng(0).integers(0, 100, both.frames.shape).astype(np.uint8)
    episode = np.repeat([0, 1, 2], [70, 10, 40])
    return replace(both, frames=frames, episode=episode, rows=np.arange(120))


class Raised(Exception):
    """As Ray wraps what a worker raised."""

    def __init__(self, cause: Exception):
        super().__init__("a long trace")
        self.cause = cause


class Now:
    """Ray's calls, done at once in this process; ``waiting`` is what was asked and not yet fetched."""

    def __init__(self) -> None:
        self.waiting, self.most, self.asked, self.up = 0, 0, list[int](), False
        self.made = iter(range(100))
        self.exceptions = type("Exceptions", (), {"RayTaskError": Raised})

    def is_initialized(self) -> bool:
        return self.up

    def init(self, **settings: Any) -> None:
        self.up, self.settings = True, settings

    def shutdown(self) -> None:
        self.up = False

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 3.0}

    def put(self, value: Any) -> Any:
        return value

    def get(self, promised: Any) -> Any:
        self.waiting -= 1
        return promised

    def remote(self, num_cpus: int) -> Any:
        ray = self

        class Actor:
            """A worker with a copy of the bridge."""

            def __init__(self, bridge: Numbered):
                self.worker, self.number = Worker(Numbered(bridge.counts)), next(ray.made)
                self.draw = self

            def remote(self, *words: Any) -> Any:
                ray.waiting += 1
                ray.most = max(ray.most, ray.waiting)
                ray.asked.append(self.number)
                return self.worker.draw(*words)

        return lambda worker: type("Made", (), {"remote": staticmethod(Actor)})


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[Now]:
    made = Now()
    monkeypatch.setattr(shards, "library", lambda: made)
    yield made


@pytest.mark.parametrize("counts", [False, True])
def test_workers_draw_what_one_draws(counts: bool, recorded: Moments, tmp_path: Path, now: Now) -> None:
    alone = through(Numbered(counts), recorded)
    frames = kept(Numbered(counts), recorded, tmp_path, "word", workers=3).frames
    assert np.array_equal(frames, alone) and not now.up and now.settings["num_cpus"] == 3
    assert set(now.asked) == {0, 1, 2}
    if counts:  # 70, 10 and 40 moments, 16 at a time
        assert now.asked == [0] * 5 + [1] + [2] * 3 and now.most == 9, "a clip stays with one, and all go at once"
    else:
        assert now.asked == [place % 3 for place in range(9)] and now.most == 6, "two are ahead of each"


@pytest.mark.parametrize("counts", [False, True])
def test_stopped_they_go_on(counts: bool, recorded: Moments, tmp_path: Path, now: Now) -> None:
    whole = through(Numbered(counts), recorded)
    fetched = now.get

    def stopped(promised: Any) -> Any:
        if now.waiting <= 4 and now.most > 4:
            raise KeyboardInterrupt
        return fetched(promised)

    now.get = stopped  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        kept(Numbered(counts), recorded, tmp_path, "word", workers=3)
    (label,) = tmp_path.glob("*.redrawn.json")
    assert 0 < json.loads(label.read_text())["done"] < 120 and not now.up
    now.get = fetched  # type: ignore[method-assign]
    assert np.array_equal(kept(Numbered(counts), recorded, tmp_path, "word", workers=2).frames, whole)


def test_what_a_worker_says_is_said_here(recorded: Moments, tmp_path: Path, now: Now) -> None:
    def raised(promised: Any) -> Any:
        raise Raised(ConfigError("lower side"))

    now.get = raised  # type: ignore[method-assign]
    with pytest.raises(ConfigError, match=r"^lower side$"):
        kept(Numbered(), recorded, tmp_path, "word", workers=3)
    with pytest.raises(ConfigError, match=r"--workers 4: Ray has 3 cores"):
        kept(Numbered(), recorded, tmp_path, "word", workers=4)
    assert not now.up


def test_pictures_that_wait_have_a_bound(
    recorded: Moments, tmp_path: Path, now: Now, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "ROOM", 5 * 16 * recorded.frames[:1].nbytes)
    whole = through(Numbered(True), recorded)
    assert np.array_equal(kept(Numbered(True), recorded, tmp_path, "word", workers=2).frames, whole) and now.most == 5


def test_it_needs_ray(recorded: Moments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"redraw --workers needs ray\. .*\[ray\]"):
        next(shards.drawn(Numbered(), recorded, [], 2))


@pytest.mark.optional
def test_processes_of_ray(recorded: Moments, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from causeway.bridges import conditions

    made = conditions.Config().build()
    made.vary("fog")
    alone = through(made, recorded)
    assert np.array_equal(kept(made, recorded, tmp_path, "word", workers=2).frames, alone)
