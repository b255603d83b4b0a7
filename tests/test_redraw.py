"""Pictures through a bridge: by clips, gone on with where it was stopped, and judged."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from causeway import redraw
from causeway.bridges import Bridge
from causeway.data import Moments
from causeway.encoders import pixels
from causeway.errors import ConfigError
from causeway.judges import Likeness
from causeway.redraw import kept, through
from test_judges import Mean


class Painted(Bridge):
    """Adds the number of its clip; stops after so many calls."""

    def __init__(self, calls: int = 10**9):
        super().__init__()
        self.calls, self.number, self.clips = calls, 0, list[int]()

    def clip(self, seed: int) -> None:
        self.number = seed
        self.clips.append(seed)

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        if not self.calls:
            raise KeyboardInterrupt
        self.calls -= 1
        return (images.int() // 2 + 10 * self.number).to(torch.uint8)


@pytest.fixture
def recorded(moments: Callable[..., Moments]) -> Moments:
    """Two episodes of 40 moments, of which some are in no set."""
    both = moments(80)
    frames = np.random.default_rng(0).integers(0, 100, both.frames.shape).astype(np.uint8)
    return replace(
        both,
        frames=frames,
        episode=np.repeat([0, 1], 40),
        time_s=np.tile(np.arange(40) / 10, 2),
        rows=np.r_[0:30, 35:60, 70:80],
    )


def test_clips_end_where_an_episode_or_the_set_breaks_off(recorded: Moments) -> None:
    assert [(part[0], part[-1]) for part in recorded.clips()] == [(0, 29), (30, 34), (35, 54), (55, 64)]
    assert recorded.select(np.zeros(0, np.int64)).clips() == []


def test_every_clip_is_drawn_by_its_episode(recorded: Moments) -> None:
    bridge = Painted()
    found = through(bridge, recorded)
    expected = recorded.frames[recorded.rows] // 2 + 10 * recorded.episode[recorded.rows][:, None, None, None, None]
    assert np.array_equal(found, expected) and bridge.clips == [0, 0, 1, 1]


def test_all_frames_are_kept_on_disk_and_drawn_once(recorded: Moments, tmp_path: Path) -> None:
    frames = kept(Painted(), recorded, tmp_path, "word").frames
    assert np.array_equal(frames, recorded.frames // 2 + 10 * recorded.episode[:, None, None, None, None])
    assert np.array_equal(kept(Painted(calls=0), recorded, tmp_path, "word").frames, frames), "there already"
    with pytest.raises(KeyboardInterrupt):
        kept(Painted(calls=0), recorded, tmp_path, "of another bridge")
    with pytest.raises(KeyboardInterrupt):
        kept(Painted(calls=0), replace(recorded, frames=recorded.frames + 1), tmp_path, "word")


@pytest.mark.parametrize("calls", [1, 2, 4])
def test_stopped_half_way_it_goes_on(calls: int, recorded: Moments, tmp_path: Path) -> None:
    whole = np.array(kept(Painted(), recorded, tmp_path / "whole", "word").frames)
    with pytest.raises(KeyboardInterrupt):
        kept(Painted(calls), recorded, tmp_path, "word")
    (label,) = tmp_path.glob("*.redrawn.json")
    assert 0 < json.loads(label.read_text())["done"] < 80
    second = Painted()
    assert np.array_equal(kept(second, recorded, tmp_path, "word").frames, whole)
    assert 10**9 - second.calls < 6, "what was done is not done again"


@pytest.mark.parametrize("said", ["DefaultCPUAllocator: can't allocate memory", "CUDA out of memory.", "no such layer"])
def test_what_was_redrawn_before_memory_ran_out_stays(said: str, recorded: Moments, tmp_path: Path) -> None:
    class Full(Painted):
        def along(self, images: Tensor) -> Tensor:
            self.calls -= 1
            if not self.calls:
                raise RuntimeError(said)
            drawn: Tensor = self(images)
            return drawn

    wanted: type[Exception] = RuntimeError if "memory" not in said else ConfigError
    with pytest.raises(wanted, match="lower the pictures' height and width" if "memory" in said else said):
        kept(Full(3), recorded, tmp_path, "word")
    (label,) = tmp_path.glob("*.redrawn.json")
    assert json.loads(label.read_text())["done"] > 0


class Fading(Painted):
    """Each picture is as light as the number of those before it in the clip."""

    remembers = True  # type: ignore[assignment]

    def clip(self, seed: int) -> None:
        self.number = 0

    def along(self, images: Tensor) -> Tensor:
        drawn = []
        for _ in images:
            self.number += 1
            drawn.append(torch.full_like(images[:1], self.number))
        self.calls -= 1
        if not self.calls:
            raise KeyboardInterrupt
        return torch.cat(drawn)


@pytest.mark.parametrize("calls", [2, 3, 5])
def test_one_that_remembers_is_shown_again_what_came_before(calls: int, recorded: Moments, tmp_path: Path) -> None:
    whole = np.array(kept(Fading(), recorded, tmp_path / "whole", "word").frames)
    assert whole[[0, 39, 40, 79], 0, 0, 0, 0].tolist() == [1, 40, 1, 40]
    with pytest.raises(KeyboardInterrupt):
        kept(Fading(calls), recorded, tmp_path, "word")
    (label,) = tmp_path.glob("*.redrawn.json")
    assert 0 < json.loads(label.read_text())["done"] < 80
    assert np.array_equal(kept(Fading(), recorded, tmp_path, "word").frames, whole)


def test_what_changed_too_much_stays_as_it_was_and_is_counted(
    recorded: Moments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = Likeness(Mean(), pixels.Config().build())
    judge.calibrate = lambda moments: setattr(judge, "most", 60 / 255)  # type: ignore[method-assign]

    class Glaring(Painted):
        """The second episode becomes far too light."""

        def forward(self, images: Tensor) -> Tensor:
            return (images.int() + 20 + 100 * self.number).to(torch.uint8)

    frames, stayed = kept(Glaring(), recorded, tmp_path, "judged", [judge])
    assert stayed.tolist() == [False] * 40 + [True] * 40
    assert np.array_equal(frames[:40], recorded.frames[:40] + 20) and np.array_equal(frames[40:], recorded.frames[40:])
    assert (
        "40 of 80 redrawn moments changed too much and stay as they were (40 by mean above 0.235)."
        in capsys.readouterr().err
    )


def test_that_nothing_had_to_stay_is_said_too(
    recorded: Moments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = Likeness(Mean(), pixels.Config().build())
    judge.calibrate = lambda moments: setattr(judge, "most", 1.0)  # type: ignore[method-assign]
    kept(Painted(), recorded, tmp_path, "judged", [judge], name="rain")
    assert "rain: 0 of 80 redrawn moments changed too much" in capsys.readouterr().err
    assert not kept(Painted(), recorded, tmp_path, "unjudged").stayed.any()
    assert capsys.readouterr().err == ""


def test_a_full_disk_keeps_what_was_redrawn(recorded: Moments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(redraw.os, "pwrite", full)
    with pytest.raises(Exception, match="What was redrawn is kept: make room"):
        kept(Painted(), recorded, tmp_path, "word")
