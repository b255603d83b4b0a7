"""What reading many frames needs: fingerprints and picture files."""

import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import DataError


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
