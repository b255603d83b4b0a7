"""What reading many frames needs: fingerprints, picture files, and what to say where one is missing."""

import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from ..errors import DataError

TURNS = {  # by EXIF's number of how a camera was held: what makes its picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def fingerprint(root: Path, files: Iterable[Path], settings: str) -> str:
    """A word for the names, sizes and times of ``files`` below ``root`` and for how they are read."""
    digest = hashlib.sha256(settings.encode())
    for file in files:
        stat = os.stat(file)
        digest.update(f"{os.path.relpath(file, root)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def picture(source: Path | bytes, bits: int = 16) -> NDArray[np.uint8]:
    """A picture file as (H, W, 3) RGB; where it has 16 bits, white is the largest number of ``bits``. Raises DataError
    when any part of it cannot be read."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return np.asarray(_plain(image, bits).convert("RGB"))
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error... on broken files
        reason = str(error).replace(repr(str(source)), "").strip() if isinstance(source, Path) else ""
        raise DataError(f"cannot be read ({reason or 'the picture file is broken'})") from error


def _plain(image: Image.Image, bits: int) -> Image.Image:
    """The picture upright and in eight bits, and what shows through it on black: Pillow would let it lie, cut off bits
    and drop what shows through."""
    image = image if (turn := TURNS.get(_orientation(image))) is None else image.transpose(turn)
    if image.mode.startswith("I;16") or image.mode == "I":
        return Image.fromarray((np.asarray(image).clip(0, 2**bits - 1) >> bits - 8).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("its numbers are floating: nobody knows which one is white; save it in 8 or 16 bits")
    if "A" in image.getbands() or "transparency" in image.info:
        return Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
    return image


def _orientation(image: Image.Image) -> int:
    """How whoever held the camera turned it, as its EXIF says: 1 for upright."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # what is broken beside a picture breaks no picture
        return 1


def absent(root: Path, file: Path) -> str:
    """What to say of a ``file`` that is not there: its name below ``root``, or that of the outermost missing folder."""
    folder = next((path for path in reversed(file.parents) if not path.is_dir()), None)
    return f"has no folder {os.path.relpath(folder, root)}" if folder else f"{os.path.relpath(file, root)} is missing"


def first_size(files: Iterable[Path]) -> tuple[int, int]:
    """Height and width of the first picture file that can be opened."""
    for file in files:
        try:
            with Image.open(file) as image:
                lies = _orientation(image) > 4
                return (image.width, image.height) if lies else (image.height, image.width)
        except OSError:
            continue
    raise DataError("no picture can be opened")
