"""What reading and writing many frames needs: locks, full disks, fingerprints, picture files, a bar for the patient."""

import errno
import fcntl
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..errors import DataError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def exclusive(path: Path, wait: bool) -> Iterator[None]:
    """Hold ``path`` against other processes and threads; the system lets go when the holder dies."""
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise DataError(f"{path.parent} is being written by another process.") from None
        yield


@contextmanager
def room_in(folder: Path) -> Iterator[None]:
    """Say which folder had no room, whichever library ran into it."""
    try:
        yield
    except Exception as error:  # FFmpeg's and Arrow's errors are not all OSErrors
        if getattr(error, "errno", None) in FULL:
            raise DataError(f"No room left to write {folder}; what was written of it is removed.") from error
        raise


def fingerprint(root: Path, files: Iterable[Path], settings: str) -> str:
    """A word for the names, sizes and times of ``files`` below ``root`` and for how they are read."""
    digest = hashlib.sha256(settings.encode())
    for file in files:
        stat = os.stat(file)
        digest.update(f"{os.path.relpath(file, root)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def picture(source: Path | bytes) -> NDArray[np.uint8]:
    """A picture file as (H, W, 3) RGB. Raises DataError when any part of it cannot be read."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error... on broken files
        reason = "the picture file is broken" if isinstance(source, bytes) else str(error).replace(str(source), "")
        raise DataError(f"cannot be read ({reason.strip()})") from error


def first_size(files: Iterable[Path]) -> tuple[int, int]:
    """Height and width of the first picture file that can be opened."""
    for file in files:
        try:
            with Image.open(file) as image:
                return image.height, image.width
        except OSError:
            continue
    raise DataError("no picture can be opened")


class Rate(ProgressColumn):
    """Frames a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} frames/s" if task.speed else "")


@contextmanager
def bar(title: str, total: int, show: bool) -> Iterator[Callable[[int], None]]:
    """A function that moves a progress bar on; nothing is shown when stderr is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not (show and console.is_terminal)) as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)
