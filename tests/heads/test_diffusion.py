"""The noise schedule, the loss and the steps of a chunk against their equations, and a choice of two ways."""

import math
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from causeway.data import Spec
from causeway.errors import ConfigError, MissingExtra
from causeway.heads import Head, laplace
from causeway.heads._unet import UNet, sinusoids
from causeway.heads.diffusion import Config

SPEC = Spec(cameras=1, height=8, width=8, state=1, horizon=2, action=1)
ONE = torch.ones(1)
SMALL = Config(widths=(32,), embedding=16)


class Oracle(torch.nn.Module):
    """Knows the chunk, hence the noise."""

    def __init__(self, head: Any, chunk: Tensor):
        super().__init__()
        self.kept, self.chunk = head.learned.alphas_cumprod, chunk
        self.steps: list[int] = []

    def forward(self, noisy: Tensor, step: Tensor, features: Tensor) -> Tensor:
        self.steps.append(int(step[0]))
        kept = self.kept[step][:, None, None]
        return (noisy - kept.sqrt() * self.chunk) / (1 - kept).sqrt()


def test_the_schedule_is_the_squared_cosine() -> None:
    def f(i: int) -> float:
        return math.cos((i / 100 + 0.008) / 1.008 * math.pi / 2) ** 2

    head = SMALL.build(1, SPEC)
    for scheduler in (head.learned, head.walked):
        kept = scheduler.alphas_cumprod.tolist()
        assert kept[:-1] == pytest.approx([f(k + 1) / f(0) for k in range(99)], rel=1e-3) and len(kept) == 100


def test_a_perfect_denoiser_costs_nothing_and_makes_the_chunk() -> None:
    head = SMALL.build(1, SPEC)
    features, mean, scale = torch.zeros(64, 1), torch.tensor([3.0]), torch.tensor([2.0])
    chunk = torch.tensor([[1.0], [-1.5]])
    head.net = Oracle(head, chunk)
    guess = head(features, mean, scale)
    assert guess.mode == pytest.approx((chunk * 2 + 3).expand(64, 2, 1), abs=1e-4)
    assert head.net.steps == [90, 80, 70, 60, 50, 40, 30, 20, 10, 0]
    actions = (chunk * 2 + 3).expand(64, 2, 1)
    assert (guess.log_prob(actions) + 2 * math.log(2)).abs().max() < 1e-3, "but for the units"
    head.net.chunk = torch.tensor([[7.0], [0.0]])
    far = guess.mode[0].flatten().tolist()
    assert far[0] == pytest.approx(13.0, abs=1e-3), "five spreads from the mean at most"


def test_the_loss_is_the_squared_error_of_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    head = SMALL.build(1, SPEC)
    monkeypatch.setattr(torch, "randint", lambda most, size, device: torch.full(size, 50))
    monkeypatch.setattr(torch, "randn_like", lambda chunk: torch.full_like(chunk, 0.5))
    seen: list[Tensor] = []
    head.net.register_forward_hook(lambda _, inputs, out: seen.append(inputs[0]) or torch.full_like(out, 2.0))
    loss = -head(torch.zeros(3, 1), ONE, 2 * ONE).log_prob(torch.full((3, 2, 1), 5.0)) / 2
    assert loss.tolist() == pytest.approx([1.5**2 + math.log(2)] * 3)
    kept = float(head.learned.alphas_cumprod[50])
    assert seen[0].flatten().tolist() == pytest.approx([math.sqrt(kept) * 2 + math.sqrt(1 - kept) * 0.5] * 6)


def test_every_chunk_comes_from_the_same_noise() -> None:
    head, other = SMALL.build(1, SPEC), SMALL.build(1, SPEC)
    assert torch.equal(head.noise, other.noise) and "noise" in head.state_dict()
    mode = head(torch.zeros(3, 1), 0 * ONE, ONE).mode
    assert torch.allclose(mode[0], mode[2]) and not mode.requires_grad, "a plan is not learned from"
    head.noise += 1.0
    assert not torch.allclose(head(torch.zeros(3, 1), 0 * ONE, ONE).mode, mode)


def learned(head: Head) -> Head:
    """Trained on demonstrators of whom half do +1 and half -1, whatever they see."""
    optimizer = torch.optim.Adam(head.parameters())
    for step in range(120):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / 120)
        actions = (torch.randint(0, 2, (64, 1, 1)) * 2.0 - 1).expand(64, 2, 1)
        loss = -head(torch.zeros(64, 1), 0 * ONE, ONE).log_prob(actions).mean() / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head


def test_one_of_two_ways_is_taken_and_not_their_middle() -> None:
    torch.manual_seed(0)
    head: Any = learned(SMALL.build(1, SPEC))
    with torch.no_grad():
        chosen = head(torch.zeros(1, 1), 0 * ONE, ONE).mode
        drawn = head.plan(torch.randn(200, 2, 1), torch.zeros(200, 1))
    assert (chosen.abs() - 1).abs().max() < 0.2 and chosen[0, 0] * chosen[0, 1] > 0
    assert ((drawn.abs() - 1).abs() < 0.3).float().mean() > 0.5
    assert 0.3 < (drawn[:, 0] > 0).float().mean() < 0.7, "other noise takes the other way"
    regression = learned(laplace.Config(hidden=0).build(1, SPEC))
    assert regression(torch.zeros(1, 1), 0 * ONE, ONE).mode.abs().max() < 0.8, "which a regression cannot"


@pytest.mark.parametrize(("horizon", "widths"), [(1, (32,)), (1, (32, 64)), (5, (32, 64, 32)), (16, (32, 64))])
def test_the_network_fits_any_horizon_and_uses_all_it_has(horizon: int, widths: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net = UNet(2, 3, widths, 8)
    chunk, step, features = torch.randn(4, horizon, 2), torch.tensor([3, 50, 99, 0]), torch.randn(4, 3)
    out = net(chunk, step, features)
    assert out.shape == chunk.shape
    out.square().sum().backward()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in net.parameters())
    assert not torch.allclose(net(chunk, step, features + 1), out), "it hears what is seen"
    assert not torch.allclose(net(chunk, step.flip(0), features), out), "and how noisy the chunk is"
    assert net.stride == 2 ** (len(widths) - 1)


def test_steps_are_told_by_sines_and_cosines() -> None:
    found = sinusoids(torch.tensor([0, 3]), 4)
    assert found[0].tolist() == [0, 0, 1, 1]
    assert found[1].tolist() == pytest.approx([math.sin(3), math.sin(3e-4), math.cos(3), math.cos(3e-4)])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"widths": ()}, "multiples of 32, one or more, not"),
        ({"widths": (64, 16)}, "multiples of 32"),
        ({"embedding": 7}, "an even embedding"),
        ({"steps_to_act": 3}, "steps_to_act must be one of 4, 5, 10, 20, 25, 50, 100, not"),
        ({"steps_to_act": 101}, "steps_to_act must be one of 4, 5, 10, 20, 25, 50, 100, not"),
        ({"widest": 0.0}, "widest above 0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Config(**wrong)


def test_without_diffusers_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingExtra, match=r"head 'diffusion' needs diffusers.*pip install -e \"\.\[diffusion\]\""):
        SMALL.build(1, SPEC)
