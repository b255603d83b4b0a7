"""Processes of a study that are stopped, killed, or die (CI runs this file): nobody is left behind, nothing is lost."""
# ruff: noqa: F811 -- fixtures of test_run.py

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from causeway import study
from test_run import HERE, METHOD, WITHOUT_METHOD, file, recordings, until  # noqa: F401

pytestmark = pytest.mark.slow


def deaf(pid: int) -> bool:
    """Whether a process hears no SIGINT."""
    with suppress(OSError):
        told = Path(f"/proc/{pid}/status").read_text()
        return bool(int(told.split("SigIgn:")[1].split()[0], 16) >> (signal.SIGINT - 1) & 1)
    return False


@pytest.mark.parametrize("pressed", ["in a terminal", "alone", "at first"])
def test_a_study_told_to_stop_saves_every_run_at_hand(
    pressed: str, file: Path, tmp_path: Path, recordings: Path
) -> None:
    with started(running(file, tmp_path, recordings)) as process:
        if pressed == "at first":
            until(lambda: len(children(process.pid)) == 3)  # two workers, and Python's tracker of their resources
            time.sleep(1.0)  # amid their imports
        else:
            until(lambda: all((folder / "log.jsonl").exists() for folder in at_hand(tmp_path)))
        (os.kill if pressed == "alone" else os.killpg)(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and said.splitlines()[-1].startswith("Stopped") and "Traceback" not in said
    saved = [(folder / "last.pt").exists() for folder in at_hand(tmp_path)]
    assert saved == [pressed != "at first"] * 2


def test_a_study_told_to_stop_twice_does_not_wait(file: Path, tmp_path: Path, recordings: Path) -> None:
    file.write_text(WITHOUT_METHOD + 'method = { name = "faulty", deaf = true }')
    with started(running(file, tmp_path, recordings, "seeds=[0,1]")) as process:
        until(lambda: all((tmp_path / "s" / f"all-s{seed}" / "config.toml").exists() for seed in (0, 1)))
        until(lambda: sum(map(deaf, children(process.pid))) == 3)  # two workers, and Python's tracker, which always is
        for _ in range(2):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.5)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 130 and "Traceback" not in said


@pytest.mark.parametrize("moment", ["at first", "at work"])
def test_a_killed_study_leaves_nobody_behind(moment: str, file: Path, tmp_path: Path, recordings: Path) -> None:
    with started(running(file, tmp_path, recordings)) as process:
        if moment == "at work":
            until(lambda: all((folder / "log.jsonl").exists() for folder in at_hand(tmp_path)))
        else:
            until(lambda: len(children(process.pid)) == 3)
        workers = children(process.pid)
    until(lambda: not any(alive(pid) for pid in workers))


def test_a_worker_that_dies_ends_no_other_run(file: Path, tmp_path: Path, recordings: Path) -> None:
    arms = {"dies": '{ name = "faulty", killed = true }', "fails": '{ name = "faulty" }', "learns": METHOD}
    file.write_text(WITHOUT_METHOD + "".join(f"[arms.{arm}]\nmethod = {method}\n" for arm, method in arms.items()))
    planned = study.plan(file, tmp_path / "s", ["seeds=[0,1]"], recordings, tmp_path / "cache")
    assert sorted(study.carry_out(planned, jobs=2)) == ["dies-s0", "dies-s1", "fails-s0", "fails-s1"]
    errors = {p.arm: p.run.error.splitlines()[0] for p in planned.runs if p.run.error}
    assert errors["dies"].startswith("its process ended with code -9") and "nothing to learn" in errors["fails"]
    assert {p.arm for p in planned.runs if p.run.tested} == {"learns"}


def running(file: Path, folder: Path, recordings: Path, *changes: str) -> list[str]:
    """A study of two workers with hours of work, of which nothing is saved on the way."""
    command = [sys.executable, "-m", "causeway", "run", str(file), "--data", str(recordings), "--jobs", "2"]
    command += ["--folder", str(folder / "s"), "--cache", str(folder / "cache"), "seeds=[0,1]"]
    return [*command, "train.steps=100000", "train.save_every=100000", *changes]


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A program as a terminal starts it, killed in the end."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background jobs inherit to ignore it
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [os.getenv("PYTHONPATH"), HERE]))},
    ) as process:
        signal.signal(signal.SIGINT, before)
        try:
            yield process
        finally:
            process.kill()


def at_hand(folder: Path) -> list[Path]:
    return [folder / "s" / name for name in ("plain-s0", "plain-s1")]


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())  # empty once it has ended
    except (FileNotFoundError, ProcessLookupError):
        return False
