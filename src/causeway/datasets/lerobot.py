"""Datasets in the LeRobot format v3.0, with pictures or films, as causeway's own recordings are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, DataError, nearest
from . import Dataset, Fault, _disk, existing
from ._lerobot_format import INFO, earlier_version, statistics
from ._lerobot_pictures import Place, film, pictures
from ._lerobot_tables import BLIND, Tables
from ._select import keep

MIXED = "its cameras differ in size: choose some with the setting 'cameras'"


def recognises(root: Path) -> bool:
    """Whether ``root`` looks like a LeRobot dataset of any version."""
    return (root / INFO).is_file() or bool(earlier_version(root))


@dataclass(frozen=True)
class Config:
    """Which episodes and cameras of the dataset at ``root``."""

    root: str  # the folder that holds meta/ and data/
    select: str = ""  # keep episodes of this name, or that start with it; without names the episode's number
    cameras: tuple[str, ...] = ()  # which cameras, in which order; none means all
    points: bool = True  # whether its point clouds are read, if it holds any; without them memory is saved

    def read(self) -> "LeRobot":
        return LeRobot(self)

    def build(self) -> "LeRobot":
        return self.read().sound()


class LeRobot(Dataset):
    """Numbers are read at once, pictures episode by episode."""

    def __init__(self, config: Config):
        tables = Tables(existing(config.root), config.points)
        self.root = config.root
        self.rate_hz = tables.rate_hz
        self.state_names, self.action_names = tables.state_names, tables.action_names
        self.points = len(tables.point_names) // 3
        unknown = [name for name in config.cameras if name not in tables.cameras]
        if unknown and tables.cameras:
            raise ConfigError(f"{self.root} has no camera '{unknown[0]}'. {nearest(unknown[0], tables.cameras)}")
        self.cameras = config.cameras or tuple(tables.cameras)
        kept = keep((episode.name for episode in tables.episodes), config.select)
        self.episodes = tuple(episode for episode, chosen in zip(tables.episodes, kept) if chosen)
        self._places = [place for place, chosen in zip(tables.places, kept) if chosen]
        self._tables = tables
        self._settings = repr((config.select, self.cameras))
        sizes = {tables.sizes[camera] for camera in self.cameras if camera in tables.sizes}
        if len(sizes) > 1:
            tables.faults.append(MIXED)
        self.faults = tuple(tables.faults)

    def decoded(self, episode: int, start: int) -> Iterator[NDArray[np.uint8]]:
        if not self.cameras:
            raise Fault(BLIND, onward=True)
        if len({self._tables.sizes[camera] for camera in self.cameras}) > 1:
            raise Fault(f"episode {self.episodes[episode].name}: {MIXED}", onward=True)
        views = [self._view(episode, camera, start) for camera in self.cameras]
        for images in zip(*views, strict=True):
            yield np.stack(images)

    def encoded(self, episode: int) -> Iterator[tuple[bytes, ...]] | None:
        if any(camera in self._tables.films for camera in self.cameras):
            return None
        place = self._places[episode]
        return zip(*(pictures(place, self._tables.cameras[camera]) for camera in self.cameras), strict=True)

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        yield from self._wrong_statistics()

    def fingerprint(self) -> str:
        files = sorted(path for path in Path(self.root).rglob("*") if path.is_file())
        return _disk.fingerprint(Path(self.root), files, self._settings)

    def _view(self, number: int, camera: str, start: int) -> Iterator[NDArray[np.uint8]]:
        """One camera's pictures of an episode, each (H, W, 3)."""
        place, size, row = self._places[number], self._tables.sizes[camera], start
        if camera in place.lost:
            raise Fault(place.lost[camera], onward=True)
        try:
            for image in self._pictures(place, camera, start):
                if image.shape[:2] != size:
                    raise DataError(f"is {image.shape[1]}x{image.shape[0]}, not {size[1]}x{size[0]} as {INFO} says")
                yield image
                row += 1
        except DataError as error:
            where = f"episode {self.episodes[number].name}: frame {row} of camera {camera}"
            raise Fault(f"{where} {error}", onward=camera in place.films) from error

    def _pictures(self, place: Place, camera: str, start: int) -> Iterator[NDArray[np.uint8]]:
        if camera in place.films:
            return film(place.films[camera], self.rate_hz, start, place.length)
        return (_disk.picture(file) for file in pictures(place, self._tables.cameras[camera], start))

    def _wrong_statistics(self) -> Iterator[str]:
        """meta/stats.json against the numbers themselves: what normalizes by it would be wrong."""
        if len(self.episodes) != self._tables.total or self.faults:
            return
        for key, values in self._tables.vectors().items():
            told = self._tables.stats.get(key)
            if not isinstance(told, dict):
                yield f"meta/stats.json says nothing of {key}"
                continue
            found = statistics(values)
            for name in ("min", "max", "mean", "std"):
                slack = 1e-3 * (np.abs(found[name]) + found["std"]) + 1e-6
                if not _agrees(told.get(name), found[name], slack):
                    yield f"meta/stats.json: {name} of {key} is {told.get(name)}, but the data's is {found[name]}"


def _agrees(told: Any, found: NDArray[np.float64], slack: NDArray[np.float64]) -> bool:
    try:
        numbers = np.asarray(told, np.float64).ravel()
    except (TypeError, ValueError):
        return False
    return numbers.shape == found.shape and bool((np.abs(numbers - found) <= slack).all())
