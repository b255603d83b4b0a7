import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from causeway import cache, progress
from causeway.cache import Crop, cached, fit, moments
from causeway.datasets import Dataset, Episode, donkey, images, lerobot
from causeway.errors import ConfigError, DataError
from recordings import episode, picture, views, write_csv, write_lerobot


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return lerobot.Config(str(write_lerobot(tmp_path / "set", cameras=("front", "rear")))).build()


def test_frames_stand_in_order_channels_first(dataset: Dataset, tmp_path: Path) -> None:
    frames = cached(dataset, 24, 32, Crop(), tmp_path / "cache")
    wrote = np.concatenate([np.array(views(5 + i, 2, seed=i)) for i in range(3)])
    np.testing.assert_array_equal(frames, wrote.transpose(0, 1, 4, 2, 3))
    assert not frames.flags.writeable


def test_long_episodes_are_decoded_in_parts(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cached(dataset, 24, 32, Crop(), tmp_path / "one")
    monkeypatch.setattr(cache, "PART", 2)
    np.testing.assert_array_equal(cached(dataset, 24, 32, Crop(), tmp_path / "two"), whole)


def test_some_alone_are_decoded_where_no_more_are_asked_for(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = np.concatenate([np.array(views(5 + i, 2, seed=i)) for i in range(3)]).transpose(0, 1, 4, 2, 3)
    rows = np.array([1, 2, 4, 5, 9, 17])  # along the end of an episode, of 5, 6 and 7 moments, and of nothing at all
    asked: list[tuple[int, int]] = []
    frames = type(dataset).frames

    def counted(self: Dataset, episode: int, start: int = 0) -> Iterator[Any]:
        asked.append((episode, start))
        return frames(self, episode, start)

    monkeypatch.setattr(type(dataset), "frames", counted)
    some = cached(dataset, 24, 32, Crop(), tmp_path, rows)
    assert some.shape == every.shape
    np.testing.assert_array_equal(some[rows], every[rows])
    assert not np.delete(some, rows, 0).any() and sorted(asked) == [(0, 1), (0, 4), (1, 0), (1, 4), (2, 6)]
    cached(dataset, 24, 32, Crop(), tmp_path, rows)
    assert len(asked) == 5  # kept
    others = np.array([0, 3, 6, 7, 8, 10])  # as many
    np.testing.assert_array_equal(cached(dataset, 24, 32, Crop(), tmp_path, others)[others], every[others])
    whole = cached(dataset, 24, 32, Crop(), tmp_path, np.arange(18))
    np.testing.assert_array_equal(whole, every)
    asked.clear()
    assert cached(dataset, 24, 32, Crop(), tmp_path, rows[:3]).filename == whole.filename and not asked  # type: ignore[attr-defined]


def test_shapes_that_differ_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SAID", set())
    monkeypatch.setattr(cache, "PART", 2)
    for place, sizes in {"mixed": ((12, 16), (12, 16), (24, 32), (5, 20)), "sizes": ((12, 16), (24, 32))}.items():
        (tmp_path / place).mkdir()
        for number, size in enumerate(sizes):
            Image.fromarray(np.zeros((*size, 3), np.uint8)).save(tmp_path / place / f"{number}.png")
        made = images.Config(str(tmp_path / place)).build()
        for _ in range(2):
            progress.SAID.clear()
            cached(made, 8, 12, Crop(), tmp_path / "cache")
            said = capsys.readouterr().err
            told = "several shapes (2 of 16x12, 1 of 32x24, 1 of 20x5): some are stretched to 12x8."
            assert said == (f"{tmp_path}/mixed holds pictures of {told}\n" if place == "mixed" else ""), "anew, or not"
        assert not list(made.problems()) and sum(made.sizes.values()) == len(sizes)


def test_nothing_is_kept_among_recordings(dataset: Dataset, tmp_path: Path) -> None:
    for place in (Path(dataset.root), Path(dataset.root) / "videos" / "x"):
        with pytest.raises(ConfigError, match="lies in the recordings"):
            cached(dataset, 8, 12, Crop(), place)
    assert not (Path(dataset.root) / "videos" / "x").exists()


def test_it_is_made_once(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = np.array(cached(dataset, 12, 16, Crop(), tmp_path / "cache"))

    def frames(*_: Any) -> Iterator[Any]:
        raise AssertionError("decoded again")

    monkeypatch.setattr(type(dataset), "frames", frames)
    np.testing.assert_array_equal(cached(dataset, 12, 16, Crop(), tmp_path / "cache"), first)
    for other in ((16, 16, Crop()), (12, 16, Crop(top=0.5))):
        with pytest.raises(AssertionError, match="decoded again"):
            cached(dataset, *other, tmp_path / "cache")


def test_sizes_of_as_many_pixels_are_told_apart(dataset: Dataset, tmp_path: Path) -> None:
    wide = np.array(cached(dataset, 12, 16, Crop(), tmp_path / "cache"))
    assert not np.array_equal(cached(dataset, 16, 12, Crop(), tmp_path / "cache").reshape(wide.shape), wide)


def test_another_way_of_fitting_is_another_cache(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(dataset, 12, 16, Crop(), tmp_path)
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    cached(dataset, 12, 16, Crop(), tmp_path)
    assert len(list(tmp_path.glob("*.frames"))) == 2


def test_who_waited_for_another_uses_what_that_one_made(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, held = cache.exclusive, []

    @contextmanager
    def waited(path: Path, wait: bool) -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(cache, "exclusive", locked)
            cached(dataset, 12, 16, Crop(), tmp_path)
        monkeypatch.setattr(cache, "_make", lambda *_: pytest.fail("made twice"))
        held.append(wait)
        yield

    monkeypatch.setattr(cache, "exclusive", waited)
    assert len(cached(dataset, 12, 16, Crop(), tmp_path)) == 18 and held == [True]


def test_a_changed_dataset_is_decoded_anew(tmp_path: Path) -> None:
    rows = [f"{i}.png,lap,{i},{i * 100},0,0.5" for i in range(4)]
    root = write_csv(tmp_path / "drive", rows)
    before = cached(donkey.Config(str(root)).build(), 24, 32, Crop(), tmp_path / "cache")
    write_csv(root, [f"{row}00" for row in rows])  # the pictures differ by the length of their row
    after = cached(donkey.Config(str(root)).build(), 24, 32, Crop(), tmp_path / "cache")
    assert (before[:, :, 2] != after[:, :, 2]).all()
    assert len(list((tmp_path / "cache").glob("*.frames"))) == 2


KILLED = """
import os, signal, sys
from pathlib import Path
from causeway.cache import Crop, cached
from causeway.datasets import lerobot
dataset = lerobot.Config(sys.argv[1]).build()
frames = type(dataset).frames
def fatal(self, number, start=0):
    os.kill(os.getpid(), signal.SIGKILL) if number == 2 else None
    return frames(self, number, start)
type(dataset).frames = fatal
cached(dataset, 24, 32, Crop(), Path(sys.argv[2]))
"""


def test_a_killed_build_does_not_count(dataset: Dataset, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, "-c", KILLED, dataset.root, str(tmp_path / "cache")]
    assert subprocess.run(arguments, env=environment, timeout=60).returncode == -signal.SIGKILL
    assert [path.suffix for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == [".partial"]
    frames = cached(dataset, 24, 32, Crop(), tmp_path / "cache")
    np.testing.assert_array_equal(frames[-1, 0], views(7, seed=2)[-1][0].transpose(2, 0, 1))
    assert not list((tmp_path / "cache").glob("*.partial"))


@pytest.mark.parametrize("spoil", ["label", "size"])
def test_half_a_cache_does_not_count(dataset: Dataset, tmp_path: Path, spoil: str) -> None:
    cached(dataset, 24, 32, Crop(), tmp_path / "cache")
    frames, label = (next((tmp_path / "cache").glob(f"*.{kind}")) for kind in ("frames", "json"))
    if spoil == "label":
        frames.write_bytes(bytes(frames.stat().st_size))
        label.unlink()
    else:
        frames.write_bytes(frames.read_bytes()[:-1])
    np.testing.assert_array_equal(
        cached(dataset, 24, 32, Crop(), tmp_path / "cache")[0, 0], picture(0).transpose(2, 0, 1)
    )


def test_an_unreadable_picture_leaves_no_cache(tmp_path: Path) -> None:
    root = write_csv(tmp_path / "drive", [f"{i}.png,lap,{i},{i * 100},0,0.5" for i in range(4)])
    (root / "images/2.png").write_bytes(b"no picture")
    with pytest.raises(
        DataError, match=r"episode lap/0000: images/2\.png cannot be read.*Run: causeway check"
    ) as caught:
        cached(donkey.Config(str(root)).build(), 24, 32, Crop(), tmp_path / "cache")
    assert type(caught.value) is DataError  # the command line shows the name of the class
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_dataset_without_moments_has_no_cache(dataset: Dataset, tmp_path: Path) -> None:
    dataset.episodes = ()
    with pytest.raises(DataError, match=f"{dataset.root} holds no moments"):
        cached(dataset, 24, 32, Crop(), tmp_path / "cache")


def test_a_full_disk_is_said_and_cleared(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for where in ("posix_fallocate", "pwrite"):
        with monkeypatch.context() as patch:
            patch.setattr(cache.os, where, full)
            with pytest.raises(DataError, match=f"No room left to write {tmp_path / 'cache'}\\."):
                cached(dataset, 24, 32, Crop(), tmp_path / "cache")
        assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def make(root: str, folder: Path, queue: Any) -> None:
    frames = cached(lerobot.Config(root).build(), 24, 32, Crop(), folder)
    queue.put(int(frames.astype(np.int64).sum()))


def test_processes_that_make_the_same_cache_agree(dataset: Dataset, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=make, args=(dataset.root, tmp_path / "cache", queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    sums = {queue.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
    wrote = sum(int(np.array(views(5 + i, 2, seed=i), np.int64).sum()) for i in range(3))
    assert sums == {wrote}
    assert len(list((tmp_path / "cache").glob("*.frames"))) == 1 and not list((tmp_path / "cache").glob("*.partial"))


def test_resizing_averages_areas() -> None:
    x = np.broadcast_to(np.arange(64, dtype=np.uint8) * 4, (32, 64))
    gradient = np.stack([x, x, x], -1)
    np.testing.assert_allclose(fit(gradient, 8, 16, Crop())[0, :, 0], np.arange(16) * 16 + 6, atol=1)
    checks = np.indices((32, 64)).sum(axis=0) % 2 * 200  # aliases to 0 or 200 unless averaged
    board = np.stack([checks] * 3, -1).astype(np.uint8)
    assert set(np.unique(fit(board, 8, 16, Crop()))) == {100}


def test_cropping_takes_shares_off_the_sides() -> None:
    y, x = np.mgrid[:40, :80].astype(np.uint8)
    image = np.stack([x, y, x], -1)
    np.testing.assert_array_equal(fit(image, 20, 40, Crop(top=0.5, left=0.25, right=0.25)), image[20:, 20:60])
    np.testing.assert_array_equal(fit(image, 20, 80, Crop(bottom=0.5)), image[:20])
    np.testing.assert_array_equal(fit(image, 40, 60, Crop(left=0.25)), image[:, 20:])
    cropped = fit(image, 40, 80, Crop(right=0.5))  # as large as before, and bilinear on the way
    assert cropped[0, -1, 0] == 39 and set(np.unique(cropped[..., 0])) == set(range(40))
    assert 20 < fit(np.array([[[0] * 3, [90] * 3]], np.uint8), 2, 4, Crop())[0, 1, 0] < 40, "a grown picture is smooth"
    assert fit(image, 80, 160, Crop()).shape == (80, 160, 3)


@pytest.mark.parametrize("shares", [{"top": -0.1}, {"top": 0.5, "bottom": 0.5}, {"right": 1.0}])
def test_a_crop_must_leave_something(shares: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must leave some"):
        Crop(**shares)


def test_moments_hold_every_row(dataset: Dataset, tmp_path: Path) -> None:
    frames = cached(dataset, 24, 32, Crop(), tmp_path / "cache")
    found = moments(dataset, frames, horizon=3)
    assert found.spec == (2, 24, 32, 1, 3, 2, 1, 0) and len(found) == 18
    np.testing.assert_array_equal(found.episode, [0] * 5 + [1] * 6 + [2] * 7)
    np.testing.assert_allclose(found.time_s[[0, 4, 5, 10, 11]], [0, 0.4, 0, 0.5, 0], atol=1e-6)
    batch = found.take(np.array([4, 5]))
    wrote = episode(5, 0), episode(6, 1)
    np.testing.assert_array_equal(batch.actions[0], wrote[0].actions[[4, 4, 4]])
    np.testing.assert_array_equal(batch.actions[1], wrote[1].actions[[0, 1, 2]])
    np.testing.assert_array_equal(batch.state[1], wrote[1].state[0])
    assert found.episode_names == ("t0", "t1", "t2")
    assert found.state_names == ("speed",) and found.action_names == ("steering", "throttle")


def test_moments_without_demonstrations(tmp_path: Path) -> None:
    root = write_csv(tmp_path / "drive", [f"{i}.png,lap,{i},{i * 100},0,0.5" for i in range(4)])
    dataset = donkey.Config(str(root)).build()
    dataset.episodes = tuple(Episode(e.name, e.time_s, e.state, None) for e in dataset.episodes)
    frames = cached(dataset, 24, 32, Crop(), tmp_path / "cache")
    assert moments(dataset, frames, 1).actions is None
    one, *others = dataset.episodes
    dataset.episodes = (*others, one, Episode("driven", one.time_s, one.state, np.zeros((len(one), 2), np.float32)))
    assert moments(dataset, frames, 1).actions is None, "actions of some moments are actions of none"


def test_what_is_cut_off_does_not_shine_into_what_is_enlarged() -> None:
    image = np.zeros((16, 24, 3), np.uint8)
    image[:8] = 255
    assert fit(image, 12, 18, Crop(top=0.5)).max() == 0
    assert fit(image, 12, 18, Crop(bottom=0.5)).min() == 255
