"""Locks, full disks, and files that are there whole or not at all."""

import errno
import os
import sys
import threading
from pathlib import Path

import pytest

from causeway.disk import exclusive, made, reserve, room_in, stamp, whole
from causeway.errors import ConfigError, DataError


def test_a_held_path_is_refused_until_it_is_let_go(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock", wait=False):
        with pytest.raises(DataError, match="taken"), exclusive(tmp_path / "lock", wait=False, refusal="taken"):
            pytest.fail("held twice")
        with pytest.raises(DataError, match=f"{tmp_path} is being written by another process"):
            exclusive(tmp_path / "lock", wait=False).__enter__()
    with exclusive(tmp_path / "lock", wait=False):
        pass


def test_who_waits_comes_after_who_holds(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with exclusive(tmp_path / "lock", wait=True):
            order.append("second")

    with exclusive(tmp_path / "lock", wait=True):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.05)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "voll"),
        OSError(errno.EDQUOT, "voll"),
        OSError(errno.EFBIG, "voll"),
        RuntimeError("write error: No space left on device"),
        RuntimeError("PytorchStreamWriter failed: file write failed"),
    ],
    ids=str,
)
def test_a_full_disk_is_said_whichever_library_met_it(error: Exception, tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match=f"No room left to write {tmp_path}. Make room."),
        room_in(tmp_path, "Make room."),
    ):
        raise error


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "Permission denied"), KeyError("x")], ids=str)
def test_other_errors_stay_what_they_are(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)), room_in(tmp_path):
        raise error


@pytest.mark.skipif(sys.platform == "darwin", reason="cannot reserve")
def test_what_is_reserved_is_taken_from_the_disk(tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file:
        file.truncate(1 << 20)
        assert (tmp_path / "file").stat().st_blocks * 512 < 1 << 20
        reserve(file.fileno(), 1 << 20)
    assert (tmp_path / "file").stat().st_blocks * 512 >= 1 << 20


def test_a_file_is_replaced_at_the_end_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with whole(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(DataError, match="What was there before is kept"), whole(path) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_called_by_its_option(tmp_path: Path) -> None:
    made(tmp_path / "a" / "b", "--folder")
    made(tmp_path / "a" / "b", "--folder")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(
            ConfigError, match=rf"^--cache {folder}: no folder can be made there \(.*file.*\)\. Name an"
        ):
            made(folder, "--cache")


def test_a_stamp_changes_with_what_the_paths_hold(tmp_path: Path) -> None:
    file, folder = tmp_path / "weights.npz", tmp_path / "pictures"
    file.write_text("one")
    (folder / "deep").mkdir(parents=True)
    assert stamp(["", "a word", "a real road " * 99, str(tmp_path / "none"), str(folder)]) == ""
    (folder / "deep" / "0.png").write_text("x")
    first = stamp([str(file), str(folder)])
    assert first and stamp([str(file), "", str(folder)]) == first
    (folder / "deep" / "0.png").write_text("xy")
    second = stamp([str(file), str(folder)])
    os.utime(file, (1, 1))
    assert len({first, second, stamp([str(file), str(folder)])}) == 3
