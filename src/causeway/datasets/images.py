"""A folder of pictures that nobody labelled: photographs, frames of a film, renderings of a style.

Pictures of all sizes and modes go together: grey ones, ones with a palette or transparency (laid on black), ones of 16
bits (scaled to 8). Files are taken in the order that people count in: 2.jpg before 10.jpg.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, DataError
from . import Dataset, Episode, Fault, _disk, existing
from ._select import keep

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
BESIDE = (".txt", ".md", ".db")  # that lie beside pictures and say nothing of them


def recognises(root: Path) -> bool:
    """Whether ``root`` is a picture or holds pictures, or folders of them, and nothing that other formats hold."""
    if root.is_file():
        return root.suffix.lower() in ENDINGS
    known = all(each.suffix.lower() in (*ENDINGS, *BESIDE, "") for each in root.iterdir() if each.is_file())
    return known and bool(_folders(root)) and not (root / "images").is_dir()


@dataclass(frozen=True)
class Config:
    """Which pictures, and how fast they follow each other."""

    root: str  # the folder of the pictures, or of several such folders; or one picture
    select: str = ""  # keep the folders of this name, or that start with it
    files: str = ""  # keep the pictures whose names match, such as "on_1[345]*.jpg"; "" keeps all
    top: float = 0.0  # share that is cut off the upper edge, where another folder's pictures were cut already
    bottom: float = 0.0  # and off the lower edge
    bits: int = 16  # that files of 16 bits use: 12 for cameras whose numbers end at 4095
    rate_hz: float = 10.0  # pictures a second: for clips, and for how far apart pictures count as independent

    def __post_init__(self) -> None:
        if not self.rate_hz > 0:
            raise ConfigError(f"rate_hz must be above 0, not {self.rate_hz}.")
        if min(self.top, self.bottom) < 0 or self.top + self.bottom >= 1:
            raise ConfigError(f"top and bottom are shares and must leave some, not {self.top} and {self.bottom}.")
        if not 8 <= self.bits <= 16:
            raise ConfigError(f"bits must be 8 to 16, not {self.bits}.")

    def read(self) -> "Images":
        path = Path(self.root)
        return Images(self, path if path.is_file() and recognises(path) else existing(self.root))

    def build(self) -> "Images":
        return self.read().sound()


class Images(Dataset):
    """One camera, no state, no actions; each folder is an episode."""

    cameras = ("front",)
    state_names = ()
    action_names = ()

    def __init__(self, config: Config, root: Path):
        self.root, self.rate_hz = config.root, config.rate_hz
        folders = _folders(root)
        kept = keep((_name(root, folder) for folder in folders), config.select)
        found = [_pictures(folder) for folder, chosen in zip(folders, kept) if chosen]
        matching = [[file for file in files if fnmatch(file.name, config.files or "*")] for files in found]
        self._files = [files for files in matching if files]
        self._cut, self._bits = (config.top, config.bottom), config.bits
        self._settings = repr((config.select, config.rate_hz, config.files, *self._cut, config.bits))
        self.faults = ()
        if not any(found):
            self.faults = ("holds no picture: none of its files ends as pictures do",)
        elif not self._files:
            self.faults = (f"has no picture whose name matches '{config.files}'",)
        self.episodes = tuple(
            Episode(_name(root, files[0].parent), np.arange(len(files)) / self.rate_hz, *_nothing(len(files)))
            for files in self._files
        )

    def holds(self) -> set[str]:
        return {f"{file.parent.name}/{file.name}" for files in self._files for file in files}

    def decoded(self, episode: int, start: int) -> Iterator[NDArray[np.uint8]]:
        for file in self._files[episode][start:]:
            try:
                picture = _disk.picture(file, self._bits)
                top, bottom = (round(share * len(picture)) for share in self._cut)
                yield picture[None, top : len(picture) - bottom]
            except DataError as error:
                raise Fault(f"episode {self.episodes[episode].name}: {file.name} {error}") from error

    def fingerprint(self) -> str:
        return _disk.fingerprint(Path(self.root), [file for files in self._files for file in files], self._settings)


def _nothing(count: int) -> tuple[NDArray[np.float32], None]:
    return np.zeros((count, 0), np.float32), None


def _name(root: Path, folder: Path) -> str:
    return root.name if folder == root else folder.name


def _folders(root: Path) -> list[Path]:
    """``root`` if it is a picture or there are some in it, else the folders right below it that hold some."""
    if _pictures(root):
        return [root]
    return [folder for folder in _counted(root.iterdir()) if folder.is_dir() and _pictures(folder)]


def _pictures(place: Path) -> list[Path]:
    files = [place] if place.is_file() else place.iterdir()
    return _counted(file for file in files if file.suffix.lower() in ENDINGS)


def _counted(files: Iterable[Path]) -> list[Path]:
    """In the order that people count in."""
    return sorted(
        files, key=lambda file: [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", file.name)]
    )
