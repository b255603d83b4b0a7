"""A student that learns what its teacher does to pictures."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import Tensor

from causeway import progress
from causeway.bridges import Bridge, noise, student, style
from causeway.data import Domain, Moments
from causeway.encoders import Encoder, pixels, squeezenet
from causeway.errors import ConfigError
from causeway.methods import distillation
from causeway.policies import cnn


class Sepia(Bridge):
    """Swaps channels and darkens; counts what it is asked."""

    asked = 0

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        self.asked += len(images)
        return (images.flip(2) // 2).clone()


@pytest.fixture
def sides(moments: Callable[..., Moments]) -> tuple[Domain, Domain]:
    return Domain("source", *[moments(30)] * 5), Domain("target", *[moments(20, seed=1)] * 5)


def test_the_teacher_is_asked_once_and_by_the_side_it_redraws(sides: tuple[Domain, Domain]) -> None:
    for to, count in (("target", 12), ("source", 12)):
        teacher = Sepia()
        made = distillation.Config(to=to, pictures=12).build(*sides, 0, teacher)  # type: ignore[arg-type]
        list(islice(made.batches(0), 5))
        own = sides[to == "source"].unlabelled
        known = torch.from_numpy(own.frames[own.rows])[:, 0]
        assert teacher.asked == count and all((known == picture).all((1, 2, 3)).any() for picture in made.before)
        assert torch.equal(made.after, made.before.flip(1) // 2)


def test_pairs_stay_pairs_when_they_are_mirrored(sides: tuple[Domain, Domain]) -> None:
    made = distillation.Config().build(*sides, 0, Sepia())
    for batch in islice(made.batches(0), 4):
        before, after = ((side + 1) * 127.5 for side in (batch.ours, batch.theirs))
        assert torch.allclose(after, torch.floor(before.round().flip(1) / 2), atol=1e-3)


def test_a_student_learns_its_teacher(sides: tuple[Domain, Domain]) -> None:
    torch.manual_seed(0)
    made = distillation.Config(bridge=student.Config(width=16, blocks=1)).build(*sides, 0, Sepia())
    optimizer = torch.optim.Adam(made.part.parameters(), lr=5e-3)
    costs = []
    for batch in islice(made.batches(0), 100):
        cost = torch.stack([*made.cost(batch, 0.0).terms.values()]).sum()
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        costs.append(cost.item())
    assert costs[-1] < 0.5 * costs[0]


def test_costs_by_hand(sides: tuple[Domain, Domain]) -> None:
    made = distillation.Config().build(*sides, 0, Sepia())
    checked = torch.zeros(1, 3, 16, 16)
    checked[..., ::2] = 0.5  # every other column: half wrong by places, by colours over 8 x 8 wrong by the mean
    terms = made.cost(distillation.Pictures(torch.zeros(1, 3, 16, 16), checked), 0.0).terms
    assert terms["places"].item() == pytest.approx(0.25) and terms["colours"].item() == pytest.approx(0.25)
    checked[..., 1::2] = -0.5
    terms = made.cost(distillation.Pictures(torch.zeros(1, 3, 16, 16), checked), 0.0).terms
    assert terms["places"].item() == pytest.approx(0.5) and terms["colours"].item() == pytest.approx(0)


class Itself(Encoder):
    """A picture is its own map."""

    layers = ("picture",)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        return (pictures,)


def test_textures_by_hand(sides: tuple[Domain, Domain]) -> None:
    made = distillation.Config(encoder=pixels.Config()).build(*sides, 0, Sepia())
    made.eyes = [Itself()]
    black, grey, checked = -torch.ones(1, 3, 16, 16), torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 16, 16)
    checked[..., ::2] = -1

    def textures(ours: Tensor, theirs: Tensor) -> float:
        return made.cost(distillation.Pictures(ours, theirs), 0.0).terms["textures"].item()

    assert textures(grey, grey) == 0
    assert textures(black, grey) == pytest.approx((0.25 + 0.25) / 0.25), "places and means, in 0..1"
    assert textures(grey, checked) == pytest.approx((0.25 + 0.25) / 0.5, rel=0.01), "places and spreads"
    assert textures(checked.flip(3), checked) == pytest.approx(1 / 0.5), "places alone: as much texture elsewhere"
    assert "textures" not in distillation.Config().build(*sides, 0, Sepia()).cost(made_of(grey), 0.0).terms


def made_of(picture: Tensor) -> distillation.Pictures:
    return distillation.Pictures(picture, picture)


def test_a_new_student_changes_nothing() -> None:
    images = torch.randint(0, 255, (2, 1, 3, 21, 30), dtype=torch.uint8)
    made = student.Config().build()
    assert torch.equal(made(images), images)
    assert not any(weight.any() for weight in made.told.parameters()), "and no block is told anything yet"


def test_a_student_sees_all_of_a_picture() -> None:
    """What lies far beyond a convolution's reach decides: a light in a corner, by which the other corner brightens."""
    torch.manual_seed(0)
    dark = torch.full((16, 3, 40, 40), -0.5) + 0.1 * torch.rand(16, 3, 40, 40)
    dark[:8, :, :6, :6] = 1.0
    wanted = dark.clone()
    wanted[:8] += 0.4
    made = student.Config(width=8, blocks=1, fold=1).build()
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    for _ in range(60):
        cost = (made.change(dark) - wanted.clamp(-1, 1)).abs().mean()
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
    lit, unlit = made.change(dark)[:, :, 20:, 20:].mean((1, 2, 3)).detach().split(8)
    assert lit.min() - unlit.max() > 0.3


def drawn_at_random(**settings: int) -> student.Student:
    """A student all of whose weights matter."""
    torch.manual_seed(0)
    made = student.Config(**settings).build()
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return made


@torch.no_grad()
def test_a_picture_is_redrawn_the_same_in_any_company() -> None:
    made, pictures = drawn_at_random(width=32, blocks=4, fold=2), torch.rand(8, 3, 72, 160) * 2 - 1
    alone = torch.cat([made.change(each[None]) for each in pictures])
    assert (made.change(pictures) - alone).abs().max() < 1e-6  # a product of matrices would err by 1e-5


def test_means_and_spreads_set_gains_and_biases() -> None:
    made, width = drawn_at_random(width=8, blocks=1), 8
    pictures = torch.rand(2, 3, 16, 16) * 2 - 1
    first, told = made.whole[0].weight, made.told[0].weight
    assert isinstance(first, Tensor) and isinstance(told, Tensor)
    whole = made.change(pictures)
    for part in (first[:, :width], first[:, width:], told[:width], told[width:]):
        kept = part.detach().clone()
        part.data.zero_()
        assert not torch.equal(made.change(pictures), whole)
        part.data.copy_(kept)
    assert torch.equal(made.change(pictures), whole)


@pytest.mark.parametrize("blocks", [0, 2])
@pytest.mark.parametrize(("height", "fold"), [(1, 8), (16, 2)])
def test_every_weight_learns_from_any_picture(blocks: int, height: int, fold: int) -> None:
    made = drawn_at_random(width=8, blocks=blocks, fold=fold)
    made.change(torch.zeros(2, 3, height, height)).square().mean().backward()
    gradients = [weight.grad for weight in made.parameters()]
    assert all(each is not None and bool(each.isfinite().all()) for each in gradients)


def test_what_cannot_be_distilled(sides: tuple[Domain, Domain]) -> None:
    config = distillation.Config()
    with pytest.raises(ConfigError, match="A student needs a teacher"):
        config.rehearse(*sides, start=None)
    with pytest.raises(ConfigError, match="is no student"):
        replace(config, bridge=noise.Config()).rehearse(*sides, start=noise.Config().build())
    with pytest.raises(ConfigError, match=r"there is no file nowhere\.npz"):  # before its teacher is trained
        replace(config, encoder=squeezenet.Config(weights="nowhere.npz")).rehearse(*sides, start=noise.Config().build())
    with pytest.raises(ConfigError, match="fold of 1 to 32"):
        student.Config(fold=1000)
    policy = cnn.Config(channels=(8,)).build(sides[0].spec)
    with pytest.raises(ConfigError, match="start holds Convolutional, which redraws nothing"):
        config.build(*sides, 0, policy)


def test_eyes_that_nothing_taught_to_see_are_told(
    sides: tuple[Domain, Domain], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SAID", set())
    distillation.Config(encoder=squeezenet.Config()).rehearse(*sides, start=noise.Config().build())
    style.Config().build().begin()
    said = capsys.readouterr().err
    assert "distillation learns by SqueezeNet, random weights, which is for trials. Give its encoder weights." in said
    assert "The bridge style learns by SqueezeNet, random weights" in said
    distillation.Config(encoder=pixels.Config()).rehearse(*sides, start=noise.Config().build())
    assert not capsys.readouterr().err
