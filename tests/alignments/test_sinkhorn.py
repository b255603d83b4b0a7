"""The plan against POT, closed forms and the equations that it must satisfy."""

import math

import numpy as np
import ot
import pytest
import torch
from torch import Tensor

from causeway.alignments import _sinkhorn
from causeway.alignments._sinkhorn import paired_plan, unbalanced_plan, unrolled
from causeway.alignments.transport import squared_distances

SHAPES = [(12, 12), (9, 17), (1, 5), (5, 1)]


def cost_of(n: int, m: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    s, t = torch.randn(n, 3, generator=draw, dtype=dtype), torch.randn(m, 3, generator=draw, dtype=dtype)
    return squared_distances(s, t + 0.5)


def objective(plan: Tensor, cost: Tensor, blur: float, reach: float) -> Tensor:
    n, m = plan.shape

    def kl(p: Tensor, q: float) -> Tensor:
        return (torch.special.xlogy(p, p / q) - p + q).sum()

    return (plan * cost).sum() + blur * kl(plan, 1 / n / m) + reach * (kl(plan.sum(1), 1 / n) + kl(plan.sum(0), 1 / m))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("blur", "reach"), [(0.1, 1.0), (0.5, 0.1), (0.2, 5.0), (0.05, 0.5)])
def test_the_plan_is_that_of_pot(shape: tuple[int, int], blur: float, reach: float) -> None:
    cost = cost_of(*shape)
    n, m = shape
    a, b = np.full(n, 1 / n), np.full(m, 1 / m)
    oracle = torch.from_numpy(
        ot.unbalanced.sinkhorn_unbalanced(
            a, b, cost.numpy(), blur, reach, reg_type="kl", numItermax=20_000, stopThr=1e-13
        )
    )
    plan, optimum = unbalanced_plan(cost, blur, reach, iterations=2000, tolerance=1e-11)
    torch.testing.assert_close(plan, oracle, rtol=1e-5, atol=1e-10)
    torch.testing.assert_close(optimum, objective(oracle, cost, blur, reach), rtol=1e-8, atol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reach", [(0.5, math.inf), (math.inf, 0.5), (2.0, 0.1)])
def test_semi_relaxed_plans_are_those_of_pot(shape: tuple[int, int], reach: tuple[float, float]) -> None:
    cost = cost_of(*shape)
    n, m = shape
    a, b = np.full(n, 1 / n), np.full(m, 1 / m)
    oracle = torch.from_numpy(
        ot.unbalanced.sinkhorn_unbalanced(
            a, b, cost.numpy(), 0.2, reach, reg_type="kl", numItermax=20_000, stopThr=1e-13
        )
    )
    plan, optimum = unbalanced_plan(cost, 0.2, reach, iterations=4000, tolerance=1e-12)
    torch.testing.assert_close(plan, oracle, rtol=1e-5, atol=1e-10)
    if reach[0] == math.inf:
        torch.testing.assert_close(plan.sum(1), torch.full((n,), 1 / n).double())
    again = unrolled(cost, 0.2, reach, sweeps=4000)
    torch.testing.assert_close(again.plan, oracle, rtol=1e-5, atol=1e-10)
    torch.testing.assert_close(again.optimum, optimum, rtol=1e-7, atol=0)


@pytest.mark.parametrize("reach", [(math.inf, math.inf), (0.5, math.inf), (math.inf, 0.5)])
def test_a_balanced_side_is_whole_where_float32_tells_nothing_apart(reach: tuple[float, float]) -> None:
    """Costs of 3e8 are known to within 32, and blur is .05: what is matched is chance, how much is not."""
    for seed in (0, 7, 9, 33, 44, 59, 116, 123):
        torch.manual_seed(seed)
        plan, _ = unbalanced_plan(squared_distances(torch.randn(4, 3), torch.randn(4, 3) + 1e4), 0.05, reach)
        assert plan.sum().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("reach", [(0.5, 0.5), (0.3, 0.1), (0.5, math.inf)])
def test_a_paired_plan_is_that_of_pot_with_a_diagonal_reference(reach: tuple[float, float]) -> None:
    cost = cost_of(7, 7)
    plan, optimum = paired_plan(cost, 0.1, reach)
    a, reference = np.full(7, 1 / 7), np.eye(7) / 7
    if math.inf not in reach:
        oracle = ot.unbalanced.sinkhorn_unbalanced(
            a, a, cost.numpy(), 0.1, reach, reg_type="kl", c=reference, numItermax=20_000, stopThr=1e-15
        )
        torch.testing.assert_close(plan, torch.from_numpy(oracle), rtol=1e-6, atol=1e-12)
    between, p = cost.diagonal(), plan.diagonal()
    relaxed = [r for r in reach if r < math.inf]
    worth = (p * between).sum()
    for weight in (0.1, *relaxed):
        worth = worth + weight * (torch.special.xlogy(p, p * 7) - p + 1 / 7).sum()
    torch.testing.assert_close(optimum, worth)
    assert (plan - torch.diag(p)).abs().max() == 0 and (math.inf not in reach or p.sum().item() == pytest.approx(1))


def test_the_published_settings_are_a_robust_distance_between_pairs() -> None:
    """arXiv 2509.18631: reg .1 and tau .05 with a diagonal reference give ``exp(-5 cost_ii) / N``."""
    cost = cost_of(5, 5)
    torch.testing.assert_close(
        paired_plan(cost, 0.1, (0.05, 0.05)).plan.diagonal(), torch.exp(-5 * cost.diagonal()) / 5
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_without_reach_it_is_balanced_transport(shape: tuple[int, int]) -> None:
    cost = cost_of(*shape)
    n, m = shape
    oracle = ot.sinkhorn(np.full(n, 1 / n), np.full(m, 1 / m), cost.numpy(), 0.5, stopThr=1e-13, numItermax=50_000)
    for reach in (math.inf, 1e7):
        plan = unbalanced_plan(cost, 0.5, reach, iterations=2000, tolerance=1e-11).plan
        torch.testing.assert_close(plan, torch.from_numpy(oracle), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize(("cost", "blur", "reach"), [(2.0, 0.1, 0.7), (0.3, 1.0, 0.2), (5.0, 0.5, 2.0)])
def test_one_pair_moves_the_mass_of_the_closed_form(cost: float, blur: float, reach: float) -> None:
    # d/dp [p c + (blur + 2 reach)(p log p - p + 1)] = 0
    mass = math.exp(-cost / (blur + 2 * reach))
    plan, optimum = unbalanced_plan(torch.tensor([[cost]]).double(), blur, reach, tolerance=1e-12)
    assert plan.item() == pytest.approx(mass, rel=1e-6)
    assert optimum.item() == pytest.approx((blur + 2 * reach) * (1 - mass), rel=1e-6)


def test_far_apart_twins_are_paired_one_to_one() -> None:
    # only the diagonal is within reach: n p (log(n n p)) blur + 2 n p log(n p) reach is least at this p
    n, blur, reach = 6, 0.05, 1.0
    cost = torch.full((n, n), 1e3).double().fill_diagonal_(0.0)
    plan = unbalanced_plan(cost, blur, reach, tolerance=1e-12).plan
    p = math.exp(-(2 * blur + 2 * reach) * math.log(n) / (blur + 2 * reach))
    torch.testing.assert_close(plan, p * torch.eye(n).double(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("reach", [0.3, 3.0])
def test_the_plan_solves_its_fixed_point_equation(reach: float) -> None:
    # log(P_ij n m) blur = -C_ij - reach log(n P 1) - reach log(m P' 1), the stationary point of the objective
    cost, blur = cost_of(8, 11), 0.2
    plan = unbalanced_plan(cost, blur, reach, iterations=2000, tolerance=1e-12).plan
    rows, columns = (8 * plan.sum(1)).log(), (11 * plan.sum(0)).log()
    left = blur * (plan * 8 * 11).log()
    torch.testing.assert_close(left, -cost - reach * (rows[:, None] + columns), rtol=0, atol=1e-6)


def test_a_balanced_plan_has_uniform_marginals() -> None:
    plan = unbalanced_plan(cost_of(7, 13), 0.1, math.inf, iterations=3000, tolerance=1e-10).plan
    torch.testing.assert_close(plan.sum(1), torch.full((7,), 1 / 7).double(), rtol=1e-7, atol=0)
    torch.testing.assert_close(plan.sum(0), torch.full((13,), 1 / 13).double(), rtol=1e-7, atol=0)


def test_the_default_tolerance_is_good_for_a_thousandth_in_float32() -> None:
    for blur, reach in [(0.05, 1.0), (0.2, 10.0), (0.1, math.inf), (0.05, 0.1)]:
        cost = cost_of(40, 30)
        rough = unbalanced_plan(cost.float(), blur, reach).optimum.item()
        exact = unbalanced_plan(cost, blur, reach, iterations=20_000, tolerance=1e-11).optimum.item()
        assert rough == pytest.approx(exact, rel=1e-3)


def test_a_stack_of_problems_is_solved_one_by_one() -> None:
    costs = torch.stack([cost_of(6, 5, seed) for seed in range(3)])
    together = unbalanced_plan(costs, 0.1, 0.5, tolerance=1e-11, iterations=1000)
    for cost, plan, optimum in zip(costs, *together):
        alone = unbalanced_plan(cost, 0.1, 0.5, tolerance=1e-11, iterations=1000)
        torch.testing.assert_close(plan, alone.plan, rtol=1e-6, atol=1e-10)
        torch.testing.assert_close(optimum, alone.optimum)


@pytest.mark.parametrize("reach", [0.5, math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_small_problems_are_solved_alike_by_numpy_and_by_torch(
    reach: float, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = cost_of(20, 30, dtype=dtype)
    by_numpy = unbalanced_plan(cost, 0.05, reach, tolerance=1e-5)
    monkeypatch.setattr(_sinkhorn, "FEW", 0)
    by_torch = unbalanced_plan(cost, 0.05, reach, tolerance=1e-5)
    for ours, theirs in zip(by_numpy, by_torch):
        assert ours.dtype == theirs.dtype == dtype
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-7)
