"""Episodes that a recording cannot take."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from causeway.datasets import donkey, lerobot
from causeway.errors import DataError
from causeway.recorder import Recorder, Recording, copy
from recordings import episode, picture, views, write_csv

RECORDING = Recording(("front",), 10, ("speed",), ("steering", "throttle"))
WANTED = r"Pictures must be uint8 of shape \(T, V, H, W, 3\)"


def broken(**changes: Any) -> Any:
    return replace(episode(5), **changes)


def timed(length: int, step_s: float, name: str = "late") -> Any:
    return replace(episode(length, name=name), time_s=np.arange(length) * step_s)


@pytest.mark.parametrize(
    ("wrong", "frames", "said"),
    [
        (episode(5), views(4), "episode 0: 4 frames but 5 actions"),
        (episode(5), views(6), "episode 0: 6 frames but 5 actions"),
        (broken(actions=np.zeros((4, 2), np.float32)), views(5), "5 frames but 4 actions"),
        (broken(actions=np.full((5, 2), np.nan, np.float32)), views(5), "actions are not finite at frame 0"),
        (broken(state=np.full((5, 1), np.inf, np.float32)), views(5), "states are not finite at frame 0"),
        (broken(actions=np.zeros((5, 3), np.float32)), views(5), "3 actions a frame, but named are steering, throttle"),
        (broken(actions=None), views(5), "has no actions, but the recording names some"),
        (broken(time_s=np.array([0, 0.1, 0.1, 0.2, 0.3])), views(5), "time does not go on at frame 2"),
        (broken(time_s=np.array([np.nan, 0.1, 0.2, 0.3, 0.4])), views(5), "time does not go on at frame 0"),
        ("e0", views(5), r"must be a causeway\.datasets\.Episode\(name, time_s, state, actions\), not the str 'e0'"),
        (broken(time_s=[0, 1]), views(5), r"time_s must be a numpy array .* shape \(T,\), not the list \[0, 1\]"),
        (broken(state=np.zeros(5)), views(5), r"state must be .* of shape \(5, 1\), not float64 of shape \(5,\)"),
        (broken(state=None), views(5), r"state must be a numpy array .* not None\."),
        (broken(actions=np.full((5, 2), "a")), views(5), r"actions must be a numpy array of numbers .* not <U1"),
        (episode(5), np.array(views(5)) / 255, rf"frame 0 of front is float64 of shape \(24, 32, 3\)\. {WANTED}"),
        (episode(5), [view[0] for view in views(5)], rf"frame 0 is uint8 of shape \(24, 32, 3\)\. {WANTED}"),
        (
            episode(5),
            [view.transpose(0, 3, 1, 2) for view in views(5)],
            rf"of front is uint8 of shape \(3, .* {WANTED}",
        ),
        (episode(5), [view[..., 0] for view in views(5)], rf"frame 0 is uint8 of shape \(1, 24, 32\)\. {WANTED}"),
        (episode(5), [[view[0, ..., 0]] for view in views(5)], rf"frame 0 of front is uint8 of shape .* {WANTED}"),
        (episode(5), "images", rf"frame 0 is the str 'i'\. {WANTED}"),
        (episode(5), [["0.jpg"]], rf"frame 0 of front is the str '0.jpg'\. {WANTED}"),
        (episode(5), views(5, cameras=2), "2 pictures of 1 cameras"),
        (episode(5), [*views(4), picture(0, 12, 16)[None]], "frame 4 of front is 16x12, those before are 32x24"),
        (episode(5), [*views(4), (b"\xff\xd8broken",)], "frame 4 of front cannot be read"),
        (episode(0), [], "is empty"),
        (episode(5, name=""), views(5), "an episode needs a name, a text, not ''"),
        (episode(5, name="first"), views(5), "there is an episode first already"),
        (timed(21, 100.0), [], "episode late has a rate of 10 Hz, but its time goes on at 0.01 Hz: are times in sec"),
        (broken(time_s=1.6e9 + np.arange(5) / 10), views(5), r"time_s begins at 1\.6e\+09 s"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path: Path, wrong: Any, frames: Any, said: str) -> None:
    with pytest.raises(DataError, match=said), Recorder(tmp_path / "set", RECORDING) as recorder:
        recorder.add(episode(5, name="first"), views(5))
        recorder.add(wrong, frames)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pictures": "film"}, "pictures must be 'image' or 'video', not 'film'"),
        ({"cameras": "front"}, "cameras must be names, such as .*, not 'front'"),
        ({"state_names": ("x", "x")}, "state_names names one twice: x, x"),
        ({"action_names": ("",)}, "action_names must be names"),
        ({"rate_hz": 0}, "rate_hz must be a number above 0, not 0"),
        ({"rate_hz": "10"}, "rate_hz must be a number above 0, not '10'"),
    ],
)
def test_a_recording_that_nothing_can_fit_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        replace(RECORDING, **wrong)


def test_the_middle_of_all_steps_is_the_rate(tmp_path: Path) -> None:
    stutter = broken(time_s=np.array([0.05, 0.16, 0.24, 0.35, 1.0]))
    scrap = timed(2, 0.9, "scrap")
    with Recorder(tmp_path / "set", RECORDING) as recorder:
        for each in (stutter, scrap, timed(20, 0.05, "fast"), timed(30, 0.1, "even")):
            recorder.add(each, views(len(each)))
    assert lerobot.Config(str(tmp_path / "set")).build().rate_hz == 10
    with (
        pytest.raises(DataError, match=r"other has a rate of 10 Hz, but its time goes on at 20 Hz: .* Nothing is kept"),
        Recorder(tmp_path / "other", RECORDING) as recorder,
    ):
        for each in (stutter, scrap, timed(20, 0.05, "fast")):
            recorder.add(each, views(len(each)))
    assert not (tmp_path / "other").exists()


def test_what_is_read_can_be_copied(tmp_path: Path) -> None:
    rows, time = [], 0
    for step, count in ((50, 60), (5000, 1), (300, 1), (5000, 1), (50, 60)):  # milliseconds
        for _ in range(count):
            time += step
            rows.append(f"{len(rows)}.jpg,lap,{len(rows)},{time},0.1,0.5")
    dataset = donkey.Config(str(write_csv(tmp_path / "lap", rows))).build()
    assert dataset.rate_hz == 20 and [len(episode) for episode in dataset.episodes] == [60, 2, 61]
    assert len(lerobot.Config(str(copy(dataset, tmp_path / "copied"))).build().episodes) == 3
    lone = donkey.Config(str(write_csv(tmp_path / "lone", rows[:1]))).build()
    with pytest.raises(DataError, match="lone has no two frames that follow one another, and so no rate"):
        copy(lone, tmp_path / "never")


@pytest.mark.parametrize("rate", [10, 10.0, np.int64(10), np.float32(10)])
def test_a_rate_is_any_number(rate: Any) -> None:
    assert replace(RECORDING, rate_hz=rate).rate_hz == 10
