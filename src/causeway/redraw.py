"""Pictures through a bridge: clip by clip, so that what is drawn at random stays the same along one; judged, kept on
disk, and gone on with where it was stopped."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .bridges import Bridge
from .data import Moments
from .disk import exclusive, reserve, room_in, whole
from .encoders import Encoder, Look
from .errors import DataError
from .progress import counted, say_once
from .validators import Validator

CHUNK = 16  # moments redrawn at once
APART_S = 0.5  # a redrawn picture may differ from its own as much as that differs from the one so much later
PAIRS = 200  # of such pictures that are looked at
LEVEL = 0.95  # share of them that differ less than what is allowed


class Judge:
    """Whether what a picture shows is still there: no more has changed than changes anyway in half a second.

    The threshold is the 95th percentile of the validator's change between unchanged pictures half a second apart.
    """

    def __init__(self, validator: Validator, encoder: Encoder):
        self.validator, self.encoder = validator, encoder
        self.most = 0.0

    @torch.inference_mode()
    def changes(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(B,) of moments (B, V, 3, H, W), the mean over their cameras."""
        old, new = (Look(self.encoder, floats(frames)) for frames in (before, after))
        found: NDArray[np.float64] = self.validator(old, new).view(before.shape[:2]).mean(1).double().numpy()
        return found

    def calibrate(self, moments: Moments) -> None:
        """Learn from unchanged moments how much may change; of slow recordings, from one moment to the next."""
        rows, time_s, episode = moments.rows, moments.time_s[moments.rows], moments.episode[moments.rows]
        clock = time_s + episode * 1e7  # on which episodes never meet
        later = np.maximum(np.searchsorted(clock, clock + APART_S - 1e-6), np.arange(len(rows)) + 1)
        later = np.minimum(later, len(rows) - 1)
        unbroken = (rows[later] - rows == later - np.arange(len(rows))) & (rows[later] > rows)
        fits = np.flatnonzero(unbroken & (episode[later] == episode))
        if not len(fits):
            raise DataError("A validator learns from moments that follow one another how much may change: none do.")
        chosen = fits[np.unique(np.linspace(0, len(fits) - 1, PAIRS).astype(np.int64))]
        parts = [chosen[start : start + CHUNK] for start in range(0, len(chosen), CHUNK)]
        found = [self.changes(moments.frames[rows[part]], moments.frames[rows[later[part]]]) for part in parts]
        self.most = float(np.quantile(np.concatenate(found), LEVEL))


def through(bridge: Bridge, moments: Moments) -> NDArray[np.uint8]:
    """The ``moments`` as the bridge redraws them, (N, V, 3, H, W)."""
    found = np.empty((len(moments), *moments.frames.shape[1:]), np.uint8)
    with counted("redrawing", len(moments), "moments") as advance:

        def put(part: NDArray[np.int64], frames: NDArray[np.uint8]) -> None:
            found[part] = frames
            advance(len(part))

        draw(bridge, moments, 0, put)
    return found


def kept(bridge: Bridge, moments: Moments, folder: Path, word: str, judge: Judge | None = None) -> NDArray[np.uint8]:
    """All M frames behind ``moments`` as the bridge redraws them, (M, V, 3, H, W), as a map of a file in ``folder``.

    The file is made once for each set of frames and ``word``, which stands for the bridge and its judge. Stopped
    half-way, it is gone on with; what the judge does not let pass stays as it was, and how often is said.
    """
    everything = replace(moments, rows=np.arange(len(moments.frames)))
    key = hashlib.sha256(f"{word} {said(moments.frames)}".encode()).hexdigest()[:16]
    frames, label = folder / f"{key}.redrawn", folder / f"{key}.redrawn.json"
    with room_in(folder, "What was redrawn is kept: make room, and give the same command again."):
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(folder / f"{key}.lock", wait=True):
            told = _told(label)
            if told["done"] < len(everything):
                if judge is not None:
                    judge.calibrate(everything)
                told = _make(bridge, everything, frames, label, told, judge)
    if told["stayed"]:
        say_once(f"{told['stayed']} of {told['done']} redrawn moments changed too much and stay as they were.")
    return np.memmap(frames, np.uint8, mode="r", shape=moments.frames.shape)


def _make(
    bridge: Bridge, moments: Moments, frames: Path, label: Path, told: dict[str, int], judge: Judge | None
) -> dict[str, int]:
    size = moments.frames[:1].nbytes
    with open(frames, "r+b" if told["done"] else "w+b") as file:
        reserve(file.fileno(), size * len(moments))
        with counted("redrawing", len(moments), "moments") as advance:
            advance(told["done"])

            def put(part: NDArray[np.int64], redrawn: NDArray[np.uint8]) -> None:
                before = moments.frames[part]
                if judge is not None:
                    lost = judge.changes(before, redrawn) > judge.most
                    redrawn = np.where(lost[:, None, None, None, None], before, redrawn)
                    told["stayed"] += int(lost.sum())
                os.pwrite(file.fileno(), redrawn.tobytes(), int(part[0]) * size)
                told["done"] = int(part[-1]) + 1
                with whole(label) as temporary:
                    temporary.write_text(json.dumps(told), encoding="utf-8")
                advance(len(part))

            draw(bridge, moments, told["done"], put)
    return told


@torch.inference_mode()
def draw(
    bridge: Bridge, moments: Moments, start: int, put: Callable[[NDArray[np.int64], NDArray[np.uint8]], None]
) -> None:
    """Redraw moment after moment from the ``start``-th on; ``put`` takes the places of a few, and them redrawn."""
    bridge.eval()
    for clip in moments.clips():
        if clip[-1] < start:
            continue
        bridge.clip(int(moments.episode[moments.rows[clip[0]]]))
        left = clip[clip >= start]
        for first in range(0, len(left), CHUNK):
            part = left[first : first + CHUNK]
            frames = np.ascontiguousarray(moments.frames[moments.rows[part]])
            put(part, bridge(torch.from_numpy(frames)).numpy())


def floats(frames: NDArray[np.uint8]) -> torch.Tensor:
    """(B, V, 3, H, W) -> (B * V, 3, H, W) in 0..1, channels last, which is the faster way for convolutions."""
    pictures = torch.from_numpy(np.ascontiguousarray(frames)).flatten(0, 1).float() / 255
    return pictures.contiguous(memory_format=torch.channels_last)


def _told(label: Path) -> dict[str, int]:
    told: dict[str, int] = json.loads(label.read_text(encoding="utf-8")) if label.exists() else {}
    return {"done": 0, "stayed": 0} | told


def said(frames: NDArray[np.uint8]) -> str:
    """A word for some frames: the file they are a map of, which is named for what it holds, or all of them."""
    file = getattr(frames, "filename", None)
    return f"{Path(file).name if file else hashlib.sha256(frames.tobytes()).hexdigest()} {frames.shape}"
