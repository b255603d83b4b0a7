"""Files that are there whole or not at all, locks that die with their holder, and what a full disk says."""

import errno
import fcntl
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ConfigError, DataError, InUse

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def exclusive(path: Path, wait: bool, refusal: str = "") -> Iterator[None]:
    """Hold ``path`` against other processes and threads; the system lets go when the holder dies.

    Raises InUse, saying ``refusal``, where it is held already and ``wait`` is False.
    """
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise InUse(refusal or f"{path.parent} is being written by another process.") from None
        yield


def made(folder: Path, option: str) -> None:
    """Make ``folder``, which the user named by ``option``. Raises ConfigError where there can be none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = f"{error.filename}: {error.strerror}"
        raise ConfigError(f"{option} {folder}: no folder can be made there ({said}). Name another.") from None


def reserve(file: int, size: int) -> None:
    """Claim ``size`` bytes of an open file: a full disk shows now, not an hour later, nor by SIGBUS in a map of it."""
    if sys.platform != "darwin":  # which has no such call
        os.posix_fallocate(file, 0, size)


@contextmanager
def room_in(folder: Path, advice: str = "What was written of it is removed.") -> Iterator[None]:
    """Say which folder had no room, and then ``advice``, whichever library ran into it."""
    try:
        yield
    except Exception as error:  # not all libraries' errors are OSErrors; torch keeps the system's words in its own
        words = str(error)
        if getattr(error, "errno", None) in FULL or "No space left" in words or "file write failed" in words:
            raise DataError(f"No room left to write {folder}. {advice}") from error
        raise


@contextmanager
def whole(path: Path, advice: str = "What was there before is kept.") -> Iterator[Path]:
    """A temporary path to write to; it takes the place of ``path`` if all goes well, and vanishes otherwise."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        with room_in(path.parent, advice):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def stamp(names: Iterable[str]) -> str:
    """A word for the sizes and times of files, and of those in folders, that ``names`` are paths of; "" for none."""
    found = []
    for path in (Path(name) for name in names if name):
        try:
            files = sorted(path.rglob("*")) if path.is_dir() else [path] if path.is_file() else []
        except OSError:  # too long for a path: a prompt
            continue
        stats = ((file, file.stat()) for file in files if file.is_file())
        found += [f"{file} {stat.st_size} {stat.st_mtime_ns}" for file, stat in stats]
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16] if found else ""
