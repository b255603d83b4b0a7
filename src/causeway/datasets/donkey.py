"""Drives of Donkey cars, real or simulated: tubs of both versions, and folders of images with a labels.csv."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, DataError, nearest
from . import Dataset, Episode, Fault, _disk, existing
from ._donkey_records import Drive, Record, is_donkey, read
from ._select import keep

ACTIONS = ("steering", "throttle")
FEW = 8  # frames that may stand alone, in however few stretches


def recognises(root: Path) -> bool:
    """Whether the files in ``root`` are named as Donkey cars name them."""
    return is_donkey(root)


@dataclass(frozen=True)
class Config:
    """Which recordings below ``root``, and how they are cut into episodes."""

    root: str  # the folder of a recording, or of several
    select: str = ""  # keep recordings of this name, or that start with it: tub, set, set/block, session
    gap_s: float = 1.0  # a longer pause between two frames starts a new episode
    actions: tuple[str, ...] = ACTIONS  # what to keep of what the driver did

    def __post_init__(self) -> None:
        if not self.gap_s > 0:
            raise ConfigError(f"gap_s must be above 0, not {self.gap_s}.")
        for action in self.actions:
            if action not in ACTIONS:
                raise ConfigError(f"Donkey cars record no '{action}'. {nearest(action, ACTIONS)}")

    def read(self) -> "Donkey":
        return Donkey(self, read(existing(self.root)))

    def build(self) -> "Donkey":
        return self.read().sound()


class Donkey(Dataset):
    """One camera, no state; an episode ends where the recording, its block or session, or the time breaks off."""

    cameras = ("front",)
    state_names = ()

    def __init__(self, config: Config, drive: Drive):
        self.root = config.root
        self.action_names = config.actions
        self.deleted = drive.deleted  # records their owner had taken out: skipped
        self.faults = tuple(drive.faults)
        self._settings = repr((config.select, config.gap_s, config.actions))
        self._sources = drive.sources
        self._size: tuple[int, int] | None = None
        kept = keep(("/".join((r.recording, *r.parts)) for r in drive.records), config.select)
        runs = _cut([record for record, chosen in zip(drive.records, kept) if chosen], config.gap_s)
        self._files = [[record.file for record in run] for run in runs]
        self.episodes = tuple(self._episode(name, run) for name, run in zip(_names(runs), runs))
        steps = [np.diff(episode.time_s) for episode in self.episodes if len(episode) > 1]
        self.rate_hz = round(float(1 / np.median(np.concatenate(steps))), 3) if steps else 0.0
        alone = sum(len(run) == 1 for run in runs)
        if alone > max(FEW, sum(map(len, runs)) / 2) and not self.faults:
            self.faults = (
                f"has {alone} frames that stand alone: is each recording in the order of time, are its times "
                f"milliseconds, and are pauses shorter than gap_s = {config.gap_s:g} s",
            )

    def decoded(self, episode: int, start: int) -> Iterator[NDArray[np.uint8]]:
        for file in self._files[episode][start:]:
            if not file.is_file():
                raise Fault(_disk.absent(Path(self.root), file))
            try:
                image = self._picture(file)
            except DataError as error:
                name = os.path.relpath(file, self.root)
                raise Fault(f"episode {self.episodes[episode].name}: {name} {error}") from error
            yield image[None]

    def encoded(self, episode: int) -> Iterator[tuple[bytes, ...]]:
        return ((file.read_bytes(),) for file in self._files[episode])

    def fingerprint(self) -> str:
        files = [*self._sources, *(file for files in self._files for file in files)]
        return _disk.fingerprint(Path(self.root), files, self._settings)

    def _picture(self, file: Path) -> NDArray[np.uint8]:
        image = _disk.picture(file)
        self._size = self._size or _disk.first_size(file for files in self._files for file in files)
        if image.shape[:2] != self._size:
            raise DataError(f"is {_words(image.shape)}, the first picture is {_words(self._size)}")
        return image

    def _episode(self, name: str, run: list[Record]) -> Episode:
        time_s = np.array([record.time_s for record in run])
        actions = np.array([[getattr(record, name) for name in self.action_names] for record in run], np.float32)
        return Episode(name, time_s - time_s[0], np.zeros((len(run), 0), np.float32), actions)


def _cut(records: list[Record], gap_s: float) -> list[list[Record]]:
    runs: list[list[Record]] = []
    for record in records:
        last = runs[-1][-1] if runs else None
        together = last and last[:2] == record[:2] and 0 < record.time_s - last.time_s <= gap_s
        if together:
            runs[-1].append(record)
        else:
            runs.append([record])
    return runs


def _names(runs: list[list[Record]]) -> list[str]:
    """``recording/part/number``, the number counted within its part."""
    counts: dict[str, int] = {}
    names = []
    for run in runs:
        place = "/".join((run[0].recording, *run[0].parts[:1]))
        names.append(f"{place}/{counts.get(place, 0):04d}")
        counts[place] = counts.get(place, 0) + 1
    return names


def _words(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
