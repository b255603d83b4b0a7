"""What meta/info.json must say before anything else of a LeRobot dataset is read."""

import reprlib
from typing import Any

from ._lerobot_format import INFO, VERSION

WANTED = ("codebase_version", "fps", "features", "total_episodes", "total_frames")
CONVERTER = "python -m lerobot.datasets.v30.convert_dataset_v21_to_v30"
PLACES = {"chunk_index": 0, "file_index": 0, "video_key": ""}  # what the path of a file is made from


def wrong(info: dict[str, Any]) -> str:
    """The first thing that keeps a dataset with this ``info`` from being read; "" when there is none."""
    version = info.get("codebase_version")
    if version is not None and not str(version).startswith("v3."):
        return f"is a LeRobot dataset of {version}; only {VERSION} is read. Convert it with: {CONVERTER}"
    lacking = [key for key in WANTED if info.get(key) is None]
    if lacking:
        return f"{INFO} has no {', '.join(lacking)}"
    fps, features = info["fps"], info["features"]
    if type(fps) not in (int, float):
        return f"{INFO}: fps is {reprlib.repr(fps)}, not a number"
    if not 0 < fps < float("inf"):
        return f"{INFO}: fps is {fps}"
    if not isinstance(features, dict):
        return f"{INFO}: features is {reprlib.repr(features)}, not an object of named features"
    for key in ("data_path", "video_path"):
        if not _is_template(info.get(key) or ""):
            return f"{INFO}: {key} is {info[key]!r}, not a path made from {', '.join(PLACES)}"
    return next((f"{INFO}: feature {key} {said}" for key, value in features.items() if (said := _misfit(value))), "")


def _is_template(path: Any) -> bool:
    try:
        return isinstance(path, str) and path.format(**PLACES) is not None
    except (LookupError, ValueError, AttributeError):  # a stranger in the braces, or half a pair of them
        return False


def _misfit(feature: Any) -> str:
    if not isinstance(feature, dict):
        return f"is {reprlib.repr(feature)}, not an object with dtype and shape"
    lacking = [key for key in ("dtype", "shape") if feature.get(key) is None]
    if lacking:
        return f"has no {', '.join(lacking)}"
    shape = feature["shape"]
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        return f"is of shape {reprlib.repr(shape)}, not a list of sizes"
    if feature["dtype"] in ("image", "video") and len(shape) != 3:
        return f"is of shape {shape}, not height, width and channels"
    return ""
