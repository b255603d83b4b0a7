"""Pictures through a bridge: clip by clip, so that what is drawn at random stays the same along one; judged, kept on
disk, and gone on with where it was stopped."""

import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from . import shards
from .bridges import Bridge
from .data import Moments
from .disk import exclusive, reserve, room_in, whole
from .judges import Judge, lost
from .progress import counted, say_once
from .room import roomy
from .shards import Task

Put = Callable[[NDArray[np.int64], NDArray[np.uint8]], None]
CHUNK = 16  # moments redrawn at once


class Kept(NamedTuple):
    """What was redrawn of M moments."""

    frames: NDArray[np.uint8]  # (M, V, 3, H, W), as a map of a file
    stayed: NDArray[np.bool_]  # (M,) which of them are as they were, since a judge did not let them pass


def through(bridge: Bridge, moments: Moments) -> NDArray[np.uint8]:
    """The ``moments`` as the bridge redraws them, (N, V, 3, H, W)."""
    found = np.empty((len(moments), *moments.frames.shape[1:]), np.uint8)
    with counted("redrawing", len(moments), "moments") as advance:

        def put(part: NDArray[np.int64], frames: NDArray[np.uint8]) -> None:
            found[part] = frames
            advance(len(part))

        draw(bridge, moments, 0, put)
    return found


def kept(
    bridge: Bridge,
    moments: Moments,
    folder: Path,
    word: str,
    judges: Sequence[Judge] = (),
    workers: int = 1,
    name: str = "",
) -> Kept:
    """All M frames behind ``moments`` as the bridge redraws them, kept in files in ``folder``.

    They are made once for each set of frames and ``word``, which stands for the bridge and its judges. Stopped
    half-way, it is gone on with; what one of these does not let pass stays as it was, and how often is said, of what
    has a ``name`` under that. More than one of ``workers`` are processes of Ray.
    """
    everything = replace(moments, rows=np.arange(len(moments.frames)))
    versions = [each.version for each in bridge.modules() if isinstance(each, Bridge)]
    key = hashlib.sha256(f"{word} {versions} {said(moments.frames)}".encode()).hexdigest()[:16]
    frames, stays, label = (folder / f"{key}.{end}" for end in ("redrawn", "stayed", "redrawn.json"))
    with room_in(folder, "What was redrawn is kept: make room, and give the same command again."):
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(folder / f"{key}.lock", wait=True):
            told = _told(label, frames, stays)
            if told["done"] < len(everything):
                for judge in judges:
                    judge.calibrate(everything)
                told = _make(bridge, everything, (frames, stays, label), told, judges, workers)
    if judges:
        why = ", ".join(f"{count} by {judge}" for judge, count in told["why"].items())
        how = f"{told['stayed']} of {told['done']} redrawn moments changed too much and stay as they were ({why})."
        say_once(f"{name}: {how}" if name else how)
    redrawn = np.memmap(frames, np.uint8, mode="r", shape=moments.frames.shape)
    return Kept(redrawn, np.fromfile(stays, np.bool_))


def _make(
    bridge: Bridge,
    moments: Moments,
    files: tuple[Path, Path, Path],
    told: dict[str, Any],
    judges: Sequence[Judge],
    workers: int,
) -> dict[str, Any]:
    frames, stays, label = files
    size, mode = moments.frames[:1].nbytes, "r+b" if told["done"] else "w+b"
    with open(frames, mode) as file, open(stays, mode) as marks:
        reserve(file.fileno(), size * len(moments))
        reserve(marks.fileno(), len(moments))
        with counted("redrawing", len(moments), "moments") as advance:
            if told["done"]:
                say_once(f"{told['done']} of {len(moments)} moments were redrawn before: going on.")
            advance(told["done"])

            def put(part: NDArray[np.int64], redrawn: NDArray[np.uint8]) -> None:
                if judges:
                    said = lost(judges, moments.select(part), redrawn)
                    remain: NDArray[np.bool_] = np.any(said, 1)
                    redrawn = np.where(remain[:, None, None, None, None], moments.frames[part], redrawn)
                    told["stayed"] += int(remain.sum())
                    os.pwrite(marks.fileno(), remain.tobytes(), int(part[0]))
                    for judge, count in zip(judges, said.sum(0)):
                        why = f"{judge.name} above {judge.most:.3g}"
                        told["why"][why] = told["why"].get(why, 0) + int(count)
                os.pwrite(file.fileno(), redrawn.tobytes(), int(part[0]) * size)
                told["done"] = int(part[-1]) + 1
                with whole(label) as temporary:
                    temporary.write_text(json.dumps(told), encoding="utf-8")
                advance(len(part))

            draw(bridge, moments, told["done"], put, workers)
    return told


def draw(bridge: Bridge, moments: Moments, start: int, put: Put, workers: int = 1) -> None:
    """Redraw moment after moment from the ``start``-th on; ``put`` takes the places of a few, and them redrawn."""
    bridge.eval()
    listed = list(tasks(moments, start, bridge.remembers))
    drawn = _drawn(bridge, moments, listed) if workers == 1 else shards.drawn(bridge, moments, listed, workers)
    with closing(drawn):
        for task, frames in zip(listed, drawn):
            new = task.part >= start
            if new.any():
                put(task.part[new], frames[new])


def tasks(moments: Moments, start: int, whole: bool) -> Iterator[Task]:
    """The moments from the ``start``-th on, a few at a time; or the ``whole`` of each clip that reaches so far."""
    for clip in moments.clips():
        left = clip if whole and clip[-1] >= start else clip[clip >= start]
        for first in range(0, len(left), CHUNK):
            yield Task(int(moments.episode[moments.rows[clip[0]]]), first == 0, left[first : first + CHUNK])


def _drawn(bridge: Bridge, moments: Moments, listed: Sequence[Task]) -> Generator[NDArray[np.uint8], None, None]:
    for task in listed:
        if task.first:
            bridge.clip(task.seed)
        frames = torch.from_numpy(np.ascontiguousarray(moments.frames[moments.rows[task.part]]))
        advice = "free some, and the same command goes on; or lower the pictures' height and width, which begins anew."
        with torch.inference_mode(), roomy("No memory to redraw", advice):
            drawn: NDArray[np.uint8] = bridge.along(frames).numpy()
        yield drawn


def _told(label: Path, *files: Path) -> dict[str, Any]:
    """What is done of the ``files``, as their label says: nothing where any of them was removed."""
    there = all(file.exists() for file in (label, *files))
    told: dict[str, Any] = json.loads(label.read_text(encoding="utf-8")) if there else {}
    return {"done": 0, "stayed": 0, "why": {}} | told


def said(frames: NDArray[np.uint8]) -> str:
    """A word for some frames: the file they are a map of, which is named for what it holds, or all of them."""
    file = getattr(frames, "filename", None)
    return f"{Path(file).name if file else hashlib.sha256(frames.tobytes()).hexdigest()} {frames.shape}"
