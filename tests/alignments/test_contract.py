"""What every alignment owes its user, walked over the catalog."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from causeway import catalog
from causeway.alignments import Alignment
from causeway.data import Joint

NAMES = catalog.names("alignment")
PULLING = [name for name in NAMES if name != "none"]


def build(name: str, width: int = 6, actions: int = 4) -> Alignment:
    torch.manual_seed(0)
    made: Alignment = catalog.find("alignment", name).Config().build(width, actions)
    return made


def batch(size: int, seed: int, shift: float = 0.0, width: int = 6) -> Joint:
    draw = torch.Generator().manual_seed(seed)
    z, x = torch.randn(size, width, generator=draw) + shift, torch.randn(size, 4, generator=draw)
    return Joint(z.requires_grad_(), x)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [(8, 8), (5, 12), (12, 3), (1, 4), (1, 1)])
def test_a_finite_scalar_with_a_finite_gradient(name: str, sizes: tuple[int, int]) -> None:
    align, s, t = build(name), batch(sizes[0], 1), batch(sizes[1], 2, shift=1.0)
    loss = align(s, t, 0.5)
    assert loss.shape == () and loss.isfinite()
    if name in PULLING:
        for gradient in torch.autograd.grad(loss, [s.features, t.features]):
            assert gradient.isfinite().all()
            assert min(sizes) == 1 or gradient.abs().sum() > 0
    assert all(isinstance(k, str) and math.isfinite(v) for k, v in align.notes().items())


@pytest.mark.parametrize("name", NAMES)
def test_the_same_batches_give_the_same_loss(name: str) -> None:
    align, s, t = build(name), batch(7, 1), batch(9, 2)
    assert torch.equal(align(s, t, 0.3), align(s, t, 0.3))
    assert torch.equal(align(s, t, 0.3), copy.deepcopy(align)(s, t, 0.3))


@pytest.mark.parametrize("name", NAMES)
def test_its_weights_are_all_that_must_be_saved(name: str) -> None:
    align, other, s, t = build(name), build(name), batch(7, 1), batch(9, 2)
    torch.nn.init.normal_(next(other.parameters(), torch.zeros(1)))
    other.load_state_dict(align.state_dict(), strict=True)
    assert torch.equal(align(s, t, 0.3), other(s, t, 0.3))


@pytest.mark.parametrize("name", NAMES)
def test_points_that_coincide_break_nothing(name: str) -> None:
    z = torch.ones(5, 6, requires_grad=True)
    loss = build(name)(Joint(z, torch.zeros(5, 4)), Joint(torch.ones(3, 6), torch.zeros(3, 4)), 0.5)
    assert loss.isfinite()
    if name in PULLING:
        assert torch.autograd.grad(loss, z)[0].isfinite().all()


@pytest.mark.parametrize("name", PULLING)
def test_apart_costs_more_than_together(name: str) -> None:
    align, s, t = build(name), batch(40, 1), batch(40, 2)
    far = Joint(4 * t.features + 3, t.actions)
    if name != "adversarial":  # its loss is the discriminator's, which needs to learn first
        assert align(s, far, 1.0) > align(s, t, 1.0)
        assert align(s, s, 1.0) <= align(s, t, 1.0)
    if name == "coral":
        assert align(s, s, 1.0) == 0
    if name == "mmd":
        assert abs(align(s, t, 1.0).item()) < 0.05


def shift_left(name: str, sign: float) -> float:
    """What is left of a spread and a shift between two clouds after 80 steps on the alignment alone."""
    align = build(name, width=2)
    draw = torch.Generator().manual_seed(7)
    shift, scale = torch.full((2,), 1.5, requires_grad=True), torch.full((2,), 0.7, requires_grad=True)
    descent = torch.optim.Adam(
        [{"params": [shift, scale], "lr": 0.04}, {"params": list(align.parameters()), "lr": 0.02}]
    )
    for _ in range(80):
        x = torch.randn(32, 2, generator=draw)
        y = torch.randn(32, 2, generator=draw)
        moved: Tensor = y * scale.exp() + shift
        moved.register_hook(lambda gradient: sign * gradient)
        loss = align(Joint(x, x), Joint(moved, y), 0.3)
        descent.zero_grad()
        loss.backward()
        descent.step()
    gap = scale if name == "coral" else shift  # coral sees second moments only
    return float(gap.detach().abs().mean() / (0.7 if name == "coral" else 1.5))


@pytest.mark.parametrize("name", PULLING)
def test_descent_brings_two_clouds_together_and_the_wrong_sign_does_not(name: str) -> None:
    apart: Callable[[float], float] = lambda sign: shift_left(name, sign)  # noqa: E731
    assert apart(1.0) < 0.4
    assert apart(-1.0) > 1.0
