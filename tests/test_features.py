"""Frozen features by eyes that see nothing but two corners of a picture."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from causeway import features
from causeway.augment import Augment, Augmentation
from causeway.bridges import Bridge, identity, noise
from causeway.data import Moments
from causeway.errors import DataError
from causeway.features import Features, embedded

Make = Callable[..., Moments]
SIDES = {"mirror": ("steering",)}


class Corners(nn.Module):
    """The upper left and the upper right pixel, doubled; ``looks`` counts."""

    action_mean = torch.zeros(1)

    def __init__(self, sight: str = "corners", weight: float = 2.0):
        super().__init__()
        self.sight, self.looks = sight, 0
        self.weight = nn.Parameter(torch.tensor(weight), requires_grad=False)

    def embed(self, images: Tensor) -> Tensor:
        self.looks += 1
        return self.weight * images[:, 0, 0, 0, [0, -1]].float()


class Black(Bridge):
    def forward(self, images: Tensor) -> Tensor:
        return images * 0


class White(Bridge):
    def forward(self, images: Tensor) -> Tensor:
        return images * 0 + 255


def look(
    moments: Moments,
    folder: Path,
    copies: int = 1,
    bridge: Bridge | None = None,
    eyes: Corners | None = None,
    **augment: object,
) -> Features:
    changes = Augmentation(Augment(**augment), moments.state_names, moments.action_names)  # type: ignore[arg-type]
    return embedded(eyes or Corners(), moments, changes, bridge or identity.Config().build(), copies, folder)  # type: ignore[arg-type]


def corners(moments: Moments) -> np.ndarray:
    return 2 * moments.frames[:, 0, 0, 0, [0, -1]].astype(np.float32)


def test_the_chosen_moments_are_taken_from_their_rows(moments: Make, tmp_path: Path) -> None:
    recorded = moments(60)
    part = recorded.select(np.arange(30, 60, 2))
    batch = look(part, tmp_path).take(part, np.array([0, 3]), np.array([0, 0]))
    clean = recorded.take(np.array([30, 36]))
    assert batch.embedding is not None and batch.embedding.tolist() == corners(recorded)[[30, 36]].tolist()
    assert torch.equal(batch.state, clean.state) and torch.equal(batch.actions, clean.actions)  # type: ignore[arg-type]
    assert batch.images.shape == (2, 0, 3, 32, 48)
    hidden = part.hidden()
    assert look(hidden, tmp_path).take(hidden, np.array([0]), np.array([0])).actions is None


def test_odd_copies_are_mirrored_only_when_asked_for(moments: Make, tmp_path: Path) -> None:
    recorded = replace(moments(70), state_names=("yaw",))
    seen = corners(recorded)
    plain, both = look(recorded, tmp_path, 2), look(recorded, tmp_path, 2, mirror=("steering", "yaw"))
    assert np.array_equal(plain.values, [seen, seen]) and np.array_equal(both.values, [seen, seen[:, ::-1]])
    clean = recorded.take(np.array([5]))
    for made, sign in ((plain, 1), (both, -1)):
        batch = made.take(recorded, np.array([5]), np.array([1]))
        assert batch.actions is not None and clean.actions is not None
        assert batch.actions[0, 0].tolist() == (clean.actions[0, 0] * torch.tensor([sign, 1])).tolist()
        assert torch.equal(batch.state, sign * clean.state)


def test_the_first_copy_of_either_side_is_clean_and_later_ones_are_changed(moments: Make, tmp_path: Path) -> None:
    recorded = moments(10)
    seen = corners(recorded)
    assert np.array_equal(look(recorded, tmp_path, 3, Black()).values, [seen, 0 * seen, 0 * seen])
    assert np.array_equal(look(recorded, tmp_path, 3, Black(), **SIDES).values, [seen, seen[:, ::-1], 0 * seen])


def test_what_is_drawn_for_a_copy_depends_on_its_number_alone(moments: Make, tmp_path: Path) -> None:
    recorded, noisy = moments(10), noise.Config().build()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = look(recorded, tmp_path / "a", 3, noisy)
    assert torch.equal(torch.get_rng_state(), before), "a run draws the same whether its features were there or not"
    torch.manual_seed(2)
    assert np.array_equal(look(recorded, tmp_path / "b", 3, noisy).values, one.values)
    assert not np.array_equal(one.values[1], one.values[2])


def test_whatever_changes_an_embedding_changes_the_name_of_its_file(moments: Make, tmp_path: Path) -> None:
    recorded, other = moments(10), moments(10, seed=1)
    paths = tmp_path / "one.frames", tmp_path / "two.frames"
    for path in paths:
        path.write_bytes(recorded.frames.tobytes())
    mapped = [replace(recorded, frames=np.memmap(path, np.uint8, "r", shape=recorded.frames.shape)) for path in paths]
    looks: list[Callable[[Path], Features]] = [
        lambda folder: look(recorded, folder, 3),
        lambda folder: look(other, folder, 3),
        lambda folder: look(mapped[0], folder, 3),
        lambda folder: look(mapped[1], folder, 3),
        lambda folder: look(recorded, folder, 4),
        lambda folder: look(recorded, folder, 3, eyes=Corners("other corners")),
        lambda folder: look(recorded, folder, 3, eyes=Corners(weight=3.0)),
        lambda folder: look(recorded, folder, 3, Black()),
        lambda folder: look(recorded, folder, 3, White()),
        lambda folder: look(recorded, folder, 3, noise.Config(5.0).build()),
        lambda folder: look(recorded, folder, 3, noise.Config(6.0).build()),
        lambda folder: look(recorded, folder, 3, blur=0.5),
        lambda folder: look(recorded, folder, 3, **SIDES),
    ]
    for number, made in enumerate(looks, 1):
        made(tmp_path / "cache")
        assert len(list((tmp_path / "cache").glob("*.npy"))) == number


def test_pictures_as_they_are_serve_every_augmentation(moments: Make, tmp_path: Path) -> None:
    eyes, recorded = Corners(), moments(10)
    for changes in ({}, {"blur": 0.5}, {"erase": 0.5}):
        look(recorded, tmp_path, 1, eyes=eyes, **changes)
    looks = eyes.looks
    look(recorded, tmp_path, 1, noise.Config().build(), eyes)
    assert eyes.looks == looks and len(list(tmp_path.glob("*.npy"))) == 1


def test_what_broke_off_is_not_taken_for_whole(moments: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = moments(10)
    monkeypatch.setattr(features, "CHUNK", 4)

    class Blinded(Corners):
        def embed(self, images: Tensor) -> Tensor:
            if self.looks == 3:
                raise RuntimeError("blind")
            return super().embed(images)

    with pytest.raises(RuntimeError, match="blind"):
        look(recorded, tmp_path, eyes=Blinded())
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
    assert np.array_equal(look(recorded, tmp_path).values[0], corners(recorded))


def test_a_full_disk_is_said_before_the_first_look(
    moments: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A map of a file with holes would end the process by SIGBUS, without a word."""
    claimed: list[int] = []

    def full(file: int, start: int, size: int) -> None:
        claimed.append(size - start)
        raise OSError(28, "No space left on device")

    eyes, recorded = Corners(), moments(50)
    with monkeypatch.context() as patch, pytest.raises(DataError, match=f"No room left to write {tmp_path}\\."):
        patch.setattr("os.posix_fallocate", full)
        look(recorded, tmp_path, 3, eyes=eyes)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"] and eyes.looks == 1  # the one that measures
    look(recorded, tmp_path, 3)
    assert claimed == [next(tmp_path.glob("*.npy")).stat().st_size]


def test_features_are_made_under_a_lock(moments: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked, held = features.exclusive, []
    monkeypatch.setattr(features, "exclusive", lambda path, wait: held.append(wait) or locked(path, wait))
    look(moments(10), tmp_path)
    assert held == [True]
