"""The reversed gradient by hand: its sign, its size and its schedule; the probe that the log shows."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from causeway.alignments.adversarial import Adversarial, Config
from causeway.data import Joint
from causeway.errors import ConfigError


def joint(z: Tensor) -> Joint:
    return Joint(z, z.new_zeros(len(z), 1))


def linear(weight: float) -> Adversarial:
    """A discriminator d(z) = sigmoid(weight * z)."""
    align = Config(layers=0).build(1, 1)
    last = align.discriminator[-1]
    assert isinstance(last, nn.Linear)
    nn.init.constant_(last.weight, weight)
    nn.init.zeros_(last.bias)
    return align


def test_one_source_and_one_target_by_hand() -> None:
    # loss = (softplus(-w s) + softplus(w t)) / 2; in s its slope is -w sigmoid(-w s) / 2, and s gets the opposite
    w, s, t, progress = 2.0, torch.tensor([[0.5]]), torch.tensor([[-1.0]]), 0.1
    align = linear(w)
    loss = align(joint(s.requires_grad_()), joint(t.requires_grad_()), progress)
    loss.backward()

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    strength = 2 / (1 + math.exp(-1)) - 1
    assert loss.item() == pytest.approx(-(math.log(sigmoid(1.0)) + math.log(1 - sigmoid(-2.0))) / 2)
    assert s.grad is not None and t.grad is not None
    assert s.grad.item() == pytest.approx(-strength * -w * sigmoid(-1.0) / 2)  # source is pulled down, to the target
    assert t.grad.item() == pytest.approx(-strength * w * sigmoid(-2.0) / 2)
    last = align.discriminator[-1]
    assert last.weight.grad.item() == pytest.approx((-0.5 * sigmoid(-1.0) - 1.0 * sigmoid(-2.0)) / 2)  # not reversed


@pytest.mark.parametrize("progress", [0.05, 0.3, 1.0])
def test_features_get_minus_strength_times_the_discriminators_gradient(progress: float) -> None:
    torch.manual_seed(0)
    align = Config(hidden=16, layers=2, strength=0.7, ramp=4.0).build(5, 1)
    s, t = torch.randn(6, 5, requires_grad=True), torch.randn(6, 5, requires_grad=True)
    reversed_ = torch.autograd.grad(align(joint(s), joint(t), progress), [s, t, *align.parameters()])
    labels = torch.cat([torch.ones(6), torch.zeros(6)])
    plain = binary_cross_entropy_with_logits(align.discriminator(torch.cat([s, t])).squeeze(1), labels)
    straight = torch.autograd.grad(plain, [s, t, *align.parameters()])
    strength = 0.7 * (2 / (1 + math.exp(-4.0 * progress)) - 1)
    for k, (got, want) in enumerate(zip(reversed_, straight)):
        assert want.abs().sum() > 1e-4  # a discriminator that cannot learn would pass everything else
        torch.testing.assert_close(got, want * (-strength if k < 2 else 1))


def test_the_schedule_starts_at_nothing_and_ends_at_full_strength() -> None:
    align = Config().build(2, 1)
    assert align.strength(0.0) == 0
    assert align.strength(0.1) == pytest.approx(0.46212, abs=1e-5)
    assert align.strength(1.0) == pytest.approx(1, abs=1e-4)


def test_a_domain_counts_half_whatever_its_size() -> None:
    align, s, t = linear(1.0), torch.tensor([[0.3]]), torch.tensor([[0.9]])
    once = align(joint(s), joint(t), 0.5)
    torch.testing.assert_close(align(joint(s.repeat(9, 1)), joint(t), 0.5), once)


def test_the_probe_tells_how_many_were_told_apart() -> None:
    align = linear(1.0)
    assert align.notes() == {}
    align(joint(torch.tensor([[1.0], [1.0], [-1.0], [1.0]])), joint(torch.tensor([[-1.0], [-1.0], [1.0]])), 1.0)
    assert align.notes()["probe_accuracy"] == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert align.notes()["strength"] == pytest.approx(1, abs=1e-4)


def test_the_discriminator_learns_to_tell_clouds_apart() -> None:
    torch.manual_seed(0)
    align = Config(hidden=16).build(2, 1)
    descent = torch.optim.Adam(align.parameters(), 0.02)
    for _ in range(60):
        loss = align(joint(torch.randn(64, 2)), joint(torch.randn(32, 2) + 3), 1.0)
        descent.zero_grad()
        loss.backward()
        descent.step()
    assert align.notes()["probe_accuracy"] > 0.95
    assert loss.item() < 0.2 < math.log(2)


@pytest.mark.parametrize("wrong", [{"hidden": 0}, {"layers": -1}, {"strength": -1.0}, {"ramp": -1.0}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="adversarial needs"):
        Config(**wrong).build(3, 1)  # type: ignore[arg-type]
