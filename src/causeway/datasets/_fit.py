"""What a recording can take of an episode: its numbers and pictures, before anything is written."""

import reprlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from . import Episode, _disk, off_beat

LONG, OTHER_UNITS = 20, 4.0  # of an episode this long, a step that is 5 times too long is no stutter: it ends at once
SHAPE = "(T, V, H, W, 3): T frames, V views, height, width, RGB"


def check_numbers(
    folder: str,
    episode: Episode,
    state_names: tuple[str, ...],
    action_names: tuple[str, ...],
    points: int,
    rate_hz: float,
) -> None:
    """Raises DataError when time, state, actions or points are not what a recording of these names and rate holds."""
    if not isinstance(episode, Episode):
        raise DataError(
            f"{folder}: an episode must be a causeway.datasets.Episode(name, time_s, state, actions), "
            f"not {_kind(episode)}."
        )
    if not isinstance(episode.name, str) or not episode.name:
        raise DataError(f"{folder}: an episode needs a name, a text, not {episode.name!r}.")
    where = f"{folder} episode {episode.name}"
    _check_array(where, "time_s", episode.time_s, "T")
    length = len(episode)
    if not length:
        raise DataError(f"{where} is empty.")
    if bool(action_names) != (episode.actions is not None):
        has, named = ("no actions", "names some") if episode.actions is None else ("actions", "names none")
        raise DataError(f"{where} has {has}, but the recording {named}.")
    numbers = [("states", "state", episode.state, state_names)]
    numbers += [] if episode.actions is None else [("actions", "actions", episode.actions, action_names)]
    for word, field, values, names in numbers:
        _check_array(where, field, values, length, len(names))
        if len(values) != length:
            raise DataError(f"{where}: {length} frames but {len(values)} {word}.")
        if values.shape[1] != len(names):
            raise DataError(f"{where}: {values.shape[1]} {word} a frame, but named are {', '.join(names) or 'none'}.")
        if not np.isfinite(values).all():
            raise DataError(f"{where}: {word} are not finite at frame {int(np.argwhere(~np.isfinite(values))[0][0])}.")
    if points or episode.points is not None:
        _check_points(where, episode.points, length, points)
    late = ~(np.diff(episode.time_s, prepend=-np.inf) > 0)  # NaN is not later than anything
    if late.any():
        raise DataError(f"{where}: time does not go on at frame {int(np.argmax(late))}.")
    if abs(episode.time_s[0]) * rate_hz > 1:
        raise DataError(f"{where}: time_s begins at {episode.time_s[0]:g} s. Count it from the start of the episode.")
    if length > LONG and (fault := off_beat([episode.time_s], rate_hz, OTHER_UNITS)):
        raise DataError(f"{where} {fault}")


def _check_points(where: str, found: Any, length: int, count: int) -> None:
    if not count:
        raise DataError(f"{where} has points, but the recording names none: Recording(points={found.shape[1]}).")
    _check_array(where, "points", found, length, count, 3)
    if found.shape != (length, count, 3):
        raise DataError(f"{where}: points are of shape {found.shape}, not {(length, count, 3)}.")
    if not np.isfinite(found).all():
        raise DataError(f"{where}: points are not finite at frame {int(np.argwhere(~np.isfinite(found))[0][0])}.")


def views(where: str, images: Any, count: int) -> Iterable[Any]:
    """The pictures of one frame, one a camera; each is looked at by ``pixels``. Raises DataError."""
    if not isinstance(images, np.ndarray | tuple | list) or (isinstance(images, np.ndarray) and images.ndim != 4):
        raise _misfit(where, images)
    if len(images) != count:
        raise DataError(f"{where} has {len(images)} pictures of {count} cameras.")
    return images


def pixels(where: str, image: Any) -> NDArray[np.uint8]:
    """A picture, a file or pixels already, as (H, W, 3) uint8. Raises DataError."""
    if isinstance(image, bytes):
        try:
            return _disk.picture(image)
        except DataError as error:
            raise DataError(f"{where} {error}.") from error
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise _misfit(where, image)
    return image


def _check_array(where: str, name: str, values: Any, *shape: int | str) -> None:
    if not isinstance(values, np.ndarray) or values.ndim != len(shape) or values.dtype.kind not in "fiu":
        told = str(shape).replace("'", "")
        raise DataError(f"{where}: {name} must be a numpy array of numbers of shape {told}, not {_kind(values)}.")


def _misfit(where: str, found: Any) -> DataError:
    return DataError(
        f"{where} is {_kind(found)}. Pictures must be uint8 of shape {SHAPE}; or V files as bytes, JPEG or PNG."
    )


def _kind(found: Any) -> str:
    if isinstance(found, np.ndarray):
        return f"{found.dtype} of shape {found.shape}"
    return "None" if found is None else f"the {type(found).__name__} {' '.join(reprlib.repr(found).split())}"
