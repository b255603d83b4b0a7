"""Learning to redraw: whose look is given, of how many pictures, and that nothing but the seed decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from causeway.bridges import Bridge, colors, identity, small
from causeway.data import Domain, Moments
from causeway.errors import ConfigError, DataError
from causeway.methods import translation


@dataclass(frozen=True)
class Config:
    """A bridge that remembers what it was given."""

    frozen: bool = False

    def build(self) -> "Mirror":
        return Mirror(self)


class Mirror(Bridge):
    """It learns one number."""

    def __init__(self, config: Config):
        super().__init__()
        self.frozen, self.looked = config.frozen, 0
        self.level = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        return images

    def seen(self, pictures: Tensor) -> Tensor:
        self.looked += len(pictures)
        return pictures

    def cost(self, ours: Tensor, theirs: Tensor, progress: float) -> Mapping[str, Tensor]:
        return {"level": (self.level - theirs.mean() + ours.mean()).square()}


@pytest.fixture
def sides(moments: Callable[..., Moments]) -> tuple[Domain, Domain]:
    """A dark source and a bright target."""
    dark, bright = moments(30, seed=0), moments(30, seed=1)
    dark, bright = (replace(m, frames=m.frames // 4 + shift) for m, shift in ((dark, 0), (bright, 150)))
    return Domain("source", *[dark] * 5), Domain("target", *[bright] * 5)


def made(sides: tuple[Domain, Domain], seed: int = 0, **settings: object) -> translation.Translation:
    config = translation.Config(**({"bridge": Config()} | settings))  # type: ignore[arg-type]
    return config.build(*sides, seed)


def test_it_is_the_other_side_that_the_look_is_of(sides: tuple[Domain, Domain]) -> None:
    for to, brighter in (("target", "theirs"), ("source", "ours")):
        batch = next(made(sides, to=to).batches(0))
        assert (batch.theirs.mean() > batch.ours.mean()) == (brighter == "theirs")
        assert batch.ours.shape == (8, *sides[0].unlabelled.frames.shape[2:]) and batch.ours.abs().max() <= 1


def test_a_batch_is_known_by_seed_and_step(sides: tuple[Domain, Domain]) -> None:
    run = list(islice(made(sides, crop=0.3).batches(0), 4))
    again = next(made(sides, crop=0.3).batches(3))
    assert torch.equal(run[3].ours, again.ours) and torch.equal(run[3].theirs, again.theirs)
    assert not torch.equal(run[2].ours, again.ours)
    assert not torch.equal(next(made(sides, seed=1, crop=0.3).batches(3)).ours, again.ours)


def test_a_few_shots_are_drawn_by_the_seed_and_all_there_is(sides: tuple[Domain, Domain]) -> None:
    few = made(sides, shots=3, flip=0.0)
    assert len(few.theirs) == 3 and len(few.ours) == 30
    known = {tuple(picture.flatten()[:9].tolist()) for batch in islice(few.batches(0), 6) for picture in batch.theirs}
    assert len(known) == 3
    assert np.array_equal(made(sides, shots=3).theirs.rows, few.theirs.rows)
    assert not np.array_equal(made(sides, seed=1, shots=3).theirs.rows, few.theirs.rows)


@pytest.mark.parametrize("flip", [0.0, 0.5, 1.0])
def test_pictures_are_mirrored_as_often_as_asked(flip: float, sides: tuple[Domain, Domain]) -> None:
    method = made(sides, flip=flip, batch=40)
    frames = torch.from_numpy(sides[0].unlabelled.frames[:, 0]).float() / 127.5 - 1
    batch = next(method.batches(0)).ours
    turned = [not any(torch.allclose(picture, frame, atol=1e-6) for frame in frames) for picture in batch]
    assert np.mean(turned) == pytest.approx(flip, abs=0.25) and (flip == 0.5) == (0 < sum(turned) < 40)
    either = torch.cat([frames, frames.flip(3)])
    assert all(any(torch.allclose(picture, one, atol=1e-6) for one in either) for picture in batch), "left for right"


def test_what_a_frozen_part_sees_is_seen_once(sides: tuple[Domain, Domain]) -> None:
    free, frozen = made(sides), made(sides, bridge=Config(frozen=True))
    for one, other in islice(zip(free.batches(0), frozen.batches(0)), 20):
        assert torch.equal(one.ours, other.ours) and torch.equal(one.theirs, other.theirs)
    assert isinstance(free.bridge, Mirror) and free.bridge.looked == 320
    assert isinstance(frozen.bridge, Mirror) and frozen.bridge.looked <= 120, "30 pictures of each side, two ways round"


def test_what_needs_no_steps_is_done_at_once(sides: tuple[Domain, Domain]) -> None:
    method = made(sides, bridge=colors.Config())
    assert list(method.batches(0)) == []
    redrawn = method.part(torch.from_numpy(sides[0].unlabelled.frames)).float().mean()
    assert float(redrawn) == pytest.approx(sides[1].unlabelled.frames.mean(), abs=6)
    assert list(made(sides, bridge=identity.Config()).batches(0)) == []


def test_it_begins_from_another_bridge(sides: tuple[Domain, Domain]) -> None:
    start = Mirror(Config())
    nn.init.constant_(start.level, 5.0)
    method = translation.Config(bridge=Config()).build(*sides, 0, start)
    assert isinstance(method.part, Mirror) and method.part.level.item() == 5.0


def test_too_few_pictures_are_told(sides: tuple[Domain, Domain]) -> None:
    source, target = sides
    one = replace(target, unlabelled=target.unlabelled.select(np.array([0])))
    with pytest.raises(DataError, match=r"\[target\] holds 1 pictures\. A bridge learns from 2"):
        translation.Config().rehearse(source, one, start=None)
    with pytest.raises(DataError, match=r"\[target\] shots asks for 99 moments, but training has only 30"):
        translation.Config(shots=99).rehearse(source, target, start=None)
    with pytest.raises(DataError, match=r"\[source\] shots asks for 99"):
        translation.Config(shots=99, to="source").rehearse(source, target, start=None)
    prompted = small.Config(widths=(16,), image_prompt="/no/such.png")
    for start in (None, small.Config(widths=(16,)).build()):  # whatever it begins from
        with pytest.raises(ConfigError, match=r"image_prompt /no/such\.png cannot be read"):
            translation.Config(bridge=prompted).rehearse(source, target, start=start)
    for wrong in ({"batch": 0}, {"shots": 0}, {"flip": 1.5}, {"crop": 1.0}):
        with pytest.raises(ConfigError):
            translation.Config(**wrong)  # type: ignore[arg-type]
