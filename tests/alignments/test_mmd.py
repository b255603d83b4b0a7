"""The unbiased multi-kernel discrepancy against hand-worked numbers and a written-out loop."""

import math

import pytest
import torch
from torch import Tensor

from causeway.alignments.mmd import Config
from causeway.data import Joint
from causeway.errors import ConfigError


def joint(z: Tensor) -> Joint:
    return Joint(z, z.new_zeros(len(z), 1))


def test_two_against_two_by_hand() -> None:
    # s = 0, 1 and t = 2, 4: squared distances 1 | 4 | 4 16 1 9, whose median (of both triangles) is 4
    s, t = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [4.0]])
    k = [math.exp(-d / 8) for d in (1, 4, 4, 16, 1, 9)]
    by_hand = k[0] + k[1] - 2 * (k[2] + k[3] + k[4] + k[5]) / 4
    assert Config(kernels=1).build(1, 1)(joint(s), joint(t), 0.0).item() == pytest.approx(by_hand, rel=1e-5)


def test_it_is_the_loop_written_out() -> None:
    draw = torch.Generator().manual_seed(0)
    s, t = torch.randn(5, 3, generator=draw).double(), torch.randn(7, 3, generator=draw).double() + 1
    z = torch.cat([s, t])
    pairs = [(i, j) for i in range(12) for j in range(12) if i != j]
    middle = 0.5 * torch.stack([(z[i] - z[j]).square().sum() for i, j in pairs]).median()

    def k(i: int, j: int) -> float:
        variances = [middle / 3, middle, middle * 3]
        return float(sum(torch.exp(-(z[i] - z[j]).square().sum() / (2 * h)) for h in variances) / 3)

    ss = sum(k(i, j) for i, j in pairs if i < 5 and j < 5) / 20
    tt = sum(k(i, j) for i, j in pairs if i >= 5 and j >= 5) / 42
    st = sum(k(i, j) for i in range(5) for j in range(5, 12)) / 35
    assert Config(3, 3.0, 0.5).build(3, 1)(joint(s), joint(t), 0.0).item() == pytest.approx(ss + tt - 2 * st)


def test_one_distribution_scores_nothing_on_average_and_two_do() -> None:
    draw, align = torch.Generator().manual_seed(0), Config().build(4, 1)
    same = torch.stack([align(*(joint(torch.randn(6, 4, generator=draw)) for _ in "st"), 0.0) for _ in range(600)])
    assert same.mean().abs() < 3 * same.std() / math.sqrt(600)  # the biased estimator sits at about +.2
    assert same.min() < 0 < same.max()
    assert align(joint(torch.randn(30, 4)), joint(torch.randn(30, 4) + 2), 0.0) > 0.3


def test_it_forgets_units_and_origin() -> None:
    s, t, align = torch.randn(8, 3), torch.randn(8, 3) + 1, Config().build(3, 1)
    once = align(joint(s), joint(t), 0.0)
    for scale, origin in ((1e-3, 0.0), (1e3, 0.0), (1.0, 100.0)):
        torch.testing.assert_close(
            align(joint(scale * s + origin), joint(scale * t + origin), 0.0), once, rtol=1e-3, atol=1e-4
        )


def test_more_width_looks_coarser() -> None:
    s, t = torch.randn(20, 3), torch.randn(20, 3) + 5
    fine, coarse = (Config(width=w).build(3, 1)(joint(s), joint(t), 0.0) for w in (0.01, 1.0))
    assert fine < coarse


@pytest.mark.parametrize("wrong", [{"kernels": 0}, {"spacing": 0.0}, {"width": -1.0}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="mmd needs"):
        Config(**wrong).build(3, 1)  # type: ignore[arg-type]
