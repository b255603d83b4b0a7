"""Frozen features, computed once and kept on disk: what never changes is not computed twice."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .augment import Augmentation
from .bridges import Bridge
from .data import Batch, Moments
from .disk import exclusive, reserve, whole
from .policies import Policy
from .progress import track

CHUNK = 64  # pictures looked at together
VERSION = 2  # of how copies are made; raising it makes all of them anew


@dataclass(frozen=True)
class Features:
    """C augmented copies of the embeddings of M frames; odd copies are mirrored when mirroring is asked for."""

    values: NDArray[np.float16]  # (C, M, E), a memory map
    augmentation: Augmentation

    def take(self, moments: Moments, chosen: NDArray[np.int64], copies: NDArray[np.int64]) -> Batch:
        """The ``chosen`` (B,) moments, each in the copy that ``copies`` (B,) names."""
        rows = moments.rows[chosen]
        seen = self.values[copies[:, None], moments.past(rows)]  # eyes look at every frame on its own
        embedding = torch.from_numpy(seen.astype(np.float32)).flatten(1)
        actions = None if moments.actions is None else torch.from_numpy(moments.chunks(rows))
        mirrored = torch.from_numpy(copies % 2 == 1) & bool(self.augmentation.config.mirror)
        state, actions = self.augmentation.turn(moments.felt(rows), actions, mirrored)
        blank = torch.empty(len(rows), 0, *moments.frames.shape[2:], dtype=torch.uint8)
        return Batch(blank, state, actions, embedding)


@torch.no_grad()
def embedded(
    policy: Policy, moments: Moments, augmentation: Augmentation, bridge: Bridge, copies: int, folder: Path
) -> Features:
    """The embeddings of every frame behind ``moments``, from ``folder`` when they were computed before.

    Copy 0 is the picture as it is (mirrored copy 1, when mirroring is asked for); the others go through the bridge
    and the augmentation. The file is named after everything that goes into it.
    """
    path = folder / f"{_key(policy, moments, augmentation, bridge, copies)}.features.npy"
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(path.with_suffix(".lock"), wait=True):
        if not path.exists():
            with whole(path) as temporary:
                _compute(temporary, policy, moments, augmentation, bridge, copies)
    return Features(np.load(path, mmap_mode="r"), augmentation)


def _compute(
    path: Path, policy: Policy, moments: Moments, augmentation: Augmentation, bridge: Bridge, copies: int
) -> None:
    mirrored = bool(augmentation.config.mirror)
    modes = [(part, part.training) for part in (augmentation, bridge)]
    for part, _ in modes:
        part.train()  # whatever the caller is doing: in evaluation neither would change a picture
    device = policy.action_mean.device
    width = policy.embed(torch.from_numpy(moments.frames[:1].copy()).to(device)).shape[1]
    shape = (copies, len(moments.frames), width)
    values = np.lib.format.open_memmap(path, "w+", dtype=np.float16, shape=shape)
    with open(path, "r+b") as file:
        reserve(file.fileno(), path.stat().st_size)
    with torch.random.fork_rng():
        for copy in range(copies):
            torch.manual_seed(copy)
            for start in track(range(0, shape[1], CHUNK), f"features {copy + 1}/{copies}", f"x{CHUNK} frames"):
                images = torch.from_numpy(moments.frames[start : start + CHUNK].copy()).to(device)
                images = images.flip(-1) if mirrored and copy % 2 else images
                if copy >= 1 + mirrored:
                    images = augmentation(bridge(images))
                values[copy, start : start + CHUNK] = policy.embed(images).half().cpu().numpy()
    values.flush()
    for part, mode in modes:
        part.train(mode)


def _key(policy: Policy, moments: Moments, augmentation: Augmentation, bridge: Bridge, copies: int) -> str:
    """A name made of the frames, the frozen weights and every setting that changes an embedding."""
    digest = hashlib.sha256()
    frames = moments.frames
    name = Path(frames.filename).name if isinstance(frames, np.memmap) and frames.filename else frames.tobytes().hex()
    mirror = augmentation.config.mirror
    changed = copies > 1 + bool(mirror)  # else every copy is a picture as it is, or its mirror image
    changes = f"{augmentation.config} {type(bridge).__name__} {bridge.config}" if changed else f"{bool(mirror)}"
    digest.update(f"{VERSION} {name} {frames.shape} {copies} {policy.sight} {changes}".encode())
    for weight in policy.parameters():
        if not weight.requires_grad:
            digest.update(weight.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:24]
