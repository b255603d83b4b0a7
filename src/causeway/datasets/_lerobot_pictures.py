"""Where the pictures of a LeRobot dataset lie, and how to get at them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from ..errors import DataError


@dataclass(frozen=True)
class Film:
    """Where in a video file an episode begins."""

    file: Path
    from_s: float


@dataclass(frozen=True)
class Place:
    """Where the pictures of an episode lie: rows of a parquet file, or stretches of films by camera."""

    file: Path
    row: int  # the first
    length: int
    films: dict[str, Film] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)  # why, by camera, there is no film of it


def pictures(place: Place, key: str, start: int = 0) -> Iterator[bytes]:
    """The picture files of an episode, from moment ``start`` on, a few at a time from the parquet file."""
    first, last = place.row + start, place.row + place.length
    with pq.ParquetFile(place.file, memory_map=True) as file:
        ends = np.cumsum([file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)])
        groups = [i for i, end in enumerate(ends) if end > first and (ends[i - 1] if i else 0) < last]
        row = int(ends[groups[0] - 1]) if groups and groups[0] else 0
        for batch in file.iter_batches(batch_size=32, row_groups=groups, columns=[key], use_threads=False):
            part = batch.slice(max(0, first - row), max(0, last - row - max(0, first - row)))
            row += len(batch)
            for item in part.column(0).to_pylist():
                yield _content(item if isinstance(item, dict) else {}, place.file.parents[2])


def _content(item: dict[str, Any], root: Path) -> bytes:
    """The picture file of a row: in the row itself, or below ``root`` where the row says."""
    if item.get("bytes") is not None:
        return bytes(item["bytes"])
    if not item.get("path"):
        raise DataError("is missing: its row holds no picture")
    file: Path = root / item["path"]
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read from {item['path']} ({error.strerror})") from error


def film(place: Film, rate_hz: float, start: int, length: int) -> Iterator[NDArray[np.uint8]]:
    """Pictures ``start`` to ``length`` of an episode on film. Raises DataError where one is missing."""
    try:
        with av.open(str(place.file)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            begin_s = max(0.0, place.from_s + (start - 0.5) / rate_hz)
            container.seek(int(begin_s * av.time_base))
            reformat = VideoReformatter().reformat  # one for all: making one a frame costs more than decoding it
            for frame in container.decode(stream):
                at = ((frame.time or 0.0) - place.from_s) * rate_hz
                if at < start - 0.5:
                    continue
                if at > start + 0.5:
                    raise DataError(f"is not in {place.file.name}, at {place.from_s + start / rate_hz:.3f} s")
                yield np.asarray(reformat(frame, format="rgb24").to_ndarray(), np.uint8)
                start += 1
                if start == length:
                    return
    except (av.FFmpegError, IndexError, OSError) as error:
        raise DataError(f"cannot be read from {place.file.name} ({error})") from error
    raise DataError(f"and the {length - start - 1} after it are not in {place.file.name}, which ends early")
