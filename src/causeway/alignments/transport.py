r"""Move source moments onto target moments at the least cost, features and actions together.

Each moment is a point y = (sqrt(p) z, sqrt(q) x) of feature z and action x, and pairing source i with target j costs

    cost[i, j] = |y_i - y_j|^2 = p |z_i - z_j|^2 + q |x_i - x_j|^2

The loss is the optimum, over plans P >= 0 with uniform weights a = 1/N and b = 1/M, of

    <P, cost> + blur KL(P | a b') + reach KL(P 1 | a) + reach KL(P' 1 | b),    KL(p|q) = sum p log(p/q) - p + q

P is found without gradient: by the envelope theorem the optimum's gradient is that of <P, cost> with P held, which is
what Courty et al. 2017 (JDOT) and arXiv 2509.18631 (blur = epsilon, reach = tau, p = alpha_1, q = alpha_2) follow.
A finite reach leaves moments without a counterpart unmatched, and they then get no gradient.
"""

import math
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..data import Joint
from ..errors import ConfigError
from . import Alignment

SMALL, LARGE = 1e-30, 1e16  # scalings stay between, so that no product of two and a kernel leaves float32
WARM, ROUND, COOLING = 5, 10, 8  # sweeps until the first test of convergence and until each later one; blur over next


@dataclass(frozen=True)
class Config:
    """What a pair costs, how sharp the pairing is, and how far it may go."""

    feature_weight: float = 1.0  # raising it makes pairs agree more in features, alpha_1
    action_weight: float = 1.0  # raising it makes pairs agree more in actions, alpha_2; 0 compares features alone
    relative: bool = True  # true measures either cost in units of its batch mean; false takes squared distances as are
    blur: float = 0.05  # raising it spreads a moment over more partners and converges sooner, epsilon
    reach: float = 1.0  # raising it matches moments that are farther apart, tau; inf matches all of them
    iterations: int = 300  # raising it allows a small blur more sweeps; most batches stop after 10 to 40
    tolerance: float = 1e-3  # raising it stops sooner; the share of mass the last sweep may still have moved

    def build(self, width: int, actions: int) -> "Transport":
        if not (0 < self.blur < math.inf and self.reach > 0 and self.iterations > 0):
            raise ConfigError("transport needs a finite blur > 0, reach > 0 (inf for balanced) and iterations > 0.")
        return Transport(self)


class Transport(Alignment):
    """The optimum of the transport problem between two batches; its gradient moves each pair together."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self._plan: Tensor | None = None

    def forward(self, source: Joint, target: Joint, progress: float) -> Tensor:
        c = self.config
        with torch.no_grad(), torch.autocast(source.features.device.type, enabled=False):
            zs, zt, p = _comparable(source.features, target.features, c.feature_weight, c.relative)
            xs, xt, q = _comparable(source.actions, target.actions, c.action_weight, c.relative)
            cost = squared_distances(
                torch.cat([p.sqrt() * zs, q.sqrt() * xs], 1), torch.cat([p.sqrt() * zt, q.sqrt() * xt], 1)
            )
            self._plan, optimum = unbalanced_plan(cost, c.blur, c.reach, c.iterations, c.tolerance)
            pull_s, pull_t = pulls(zs, zt, self._plan, c.relative)
            pull_s, pull_t = p * pull_s, p * pull_t
        held: Tensor = _Held.apply(source.features, target.features, optimum, pull_s, pull_t)  # type: ignore[no-untyped-call]
        return held

    def notes(self) -> dict[str, float]:
        """How much was matched, and how sharply: ``spread`` is the number of partners of a matched moment."""
        if self._plan is None:
            return {}
        mass = self._plan.sum(1)
        given = self._plan / mass.clamp(min=SMALL)[:, None]
        entropy = torch.special.entr(given).sum(1)
        return {
            "matched": float(mass.sum()),
            "unmatched_source": float((1 / len(mass) - mass).clamp(min=0).sum()),
            "spread": float((mass * entropy).sum().div(mass.sum().clamp(min=SMALL)).exp()),
        }


class _Held(torch.autograd.Function):
    """A value of two feature clouds whose gradients are known already."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, t: Tensor, value: Tensor, pull_s: Tensor, pull_t: Tensor) -> Tensor:
        ctx.save_for_backward(pull_s.to(s.dtype), pull_t.to(t.dtype))
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        pull_s, pull_t = ctx.saved_tensors
        return gradients[0] * pull_s, gradients[0] * pull_t, None, None, None


def pulls(zs: Tensor, zt: Tensor, plan: Tensor, relative: bool) -> tuple[Tensor, Tensor]:
    """The gradients, by zs (N, D) and zt (M, D), of ``sum plan |zs_i - zt_j|^2``: 2 sum_j plan_ij (zs_i - zt_j), alike.

    Of a ``relative`` cost, |zs_i - zt_j|^2 / mean, the mean has a gradient too: the pairs of the plan attract and all
    pairs together repel, as strongly. Without that part the loss falls when all features shrink to one point, where
    nothing is left to act on.
    """
    rows, columns = plan.sum(1, keepdim=True), plan.sum(0)[:, None]
    to_s, to_t = plan @ zt, plan.T @ zs
    if relative:
        moved = (rows * zs.square()).sum() + (columns * zt.square()).sum() - 2 * (to_s * zs).sum()
        repelled = moved.clamp(min=0) / mean_cost(zs, zt).clamp(min=SMALL)
        rows, columns = rows - repelled / len(zs), columns - repelled / len(zt)
        to_s, to_t = to_s - repelled * zt.mean(0) / len(zs), to_t - repelled * zs.mean(0) / len(zt)
    return 2 * (rows * zs - to_s), 2 * (columns * zt - to_t)


def _comparable(s: Tensor, t: Tensor, weight: float, relative: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Two clouds about their common centre, where ``|s|^2 + |t|^2 - 2 s t`` loses no digits, in at least float32; and
    the factor of their squared distances in the cost."""
    s, t = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (s, t))
    centre = (s.mean(0) + t.mean(0)) / 2
    s, t = s - centre, t - centre
    mean = mean_cost(s, t) if relative else s.new_ones(())
    return s, t, weight / mean.clamp(min=SMALL)


def mean_cost(s: Tensor, t: Tensor) -> Tensor:
    """``mean |s_i - t_j|^2`` over all pairs, without forming them."""
    return (s.square().sum(1).mean() + t.square().sum(1).mean() - 2 * s.mean(0) @ t.mean(0)).clamp(min=0)


def squared_distances(s: Tensor, t: Tensor) -> Tensor:
    """``|s_i - t_j|^2``: (N, D), (M, D) -> (N, M)."""
    square = s.square().sum(1)[:, None] + t.square().sum(1)
    return square.addmm_(s, t.T, alpha=-2).clamp_(min=0)


class Plan(NamedTuple):
    """A solved transport problem."""

    plan: Tensor  # (..., N, M) the mass moved from i to j
    optimum: Tensor  # (...) the value of the whole problem, not <plan, cost> alone


@torch.no_grad()
def unbalanced_plan(
    cost: Tensor, blur: float, reach: float = math.inf, iterations: int = 300, tolerance: float = 1e-3
) -> Plan:
    """The plan P above for ``cost >= 0`` (..., N, M) and uniform weights. ``reach = inf`` is balanced transport.

    Sinkhorn on the dual potentials f, g, where P = a b exp((f + g - cost) / blur), by products with a kernel that is
    scaled anew when the scalings grow (Schmitzer 2019), from a large blur down; the shift of f against g is solved
    exactly (Sejourne et al. 2022) and the sweeps are over-relaxed by the rate they show (Thibault et al. 2021).
    """
    n, m = cost.shape[-2:]
    kernel = torch.empty_like(cost)
    g = cost.new_zeros((*cost.shape[:-2], m, 1))
    blurs = _cooling(float(cost.mean()), blur)
    sweeps, relax, last, stale, count = 0, 1.0, math.inf, True, WARM
    for now in chain(blurs, repeat(blur)):
        if stale:
            f0, g0 = _scale(kernel, cost, g, now)
            v = ((g - g0) / now).exp_().div_(m).clamp_(SMALL, LARGE)
        u, vs, column = _sweep(kernel, v, f0, g0, now, reach, relax, count)
        v, sweeps = vs[-1], sweeps + count
        if now == blur:
            before, (first, last) = last, _moved(vs, column)
            if last <= tolerance or sweeps >= iterations:
                break
            relax = _relaxation(first, last, before, relax) if count == ROUND else relax
            stale, count = float(torch.maximum(u.amax() * n, v.amax() * m)) > 1e6, ROUND
        g = g0 + now * (v * m).log_() if stale else g
    if relax != 1:  # end on an exact update: a balanced plan then moves mass 1 even where sweeps ran out
        u, (*_, v), _ = _sweep(kernel, v, f0, g0, blur, reach, 1.0, 1)
    f, g = f0 + blur * (u * n).log_(), g0 + blur * (v * m).log_()
    plan = kernel.mul_(u).mul_(v.mT)
    return Plan(plan, _worth(f, reach) + _worth(g, reach) + blur * (1 - plan.sum((-2, -1))))


def _cooling(scale: float, blur: float) -> list[float]:
    """The larger blurs to pass on the way down to ``blur``, and how often: 1/8 of the typical cost, 1/64, ..."""
    if not scale < math.inf:
        return []
    steps = math.log(max(scale / blur, 1)) / math.log(COOLING)
    return [scale / COOLING**k for k in range(1, math.floor(steps - 0.3) + 1)]


def _moved(vs: list[Tensor], column: Tensor) -> tuple[float, float]:
    """The mass that the last sweep but one and the last one moved between target moments."""
    before, middle, now = vs
    first, last = torch.stack([middle - before, now - middle]).abs_().mul_(column).sum(-2).flatten(1).amax(1).tolist()
    return first, last


def _scale(kernel: Tensor, cost: Tensor, g: Tensor, blur: float) -> tuple[Tensor, Tensor]:
    """Fill ``kernel = exp((f0 + g0 - cost) / blur)`` such that the largest entry of every row and column is 1."""
    f0 = torch.sub(cost, g.mT, out=kernel).amin(-1, keepdim=True)
    g0 = torch.sub(cost, f0, out=kernel).amin(-2, keepdim=True)
    kernel.sub_(g0).mul_(-1 / blur).clamp_(min=-60).exp_()  # below e^-60 numbers turn subnormal: slow, and no use
    return f0, g0.mT


def _sweep(
    kernel: Tensor, v: Tensor, f0: Tensor, g0: Tensor, blur: float, reach: float, relax: float, count: int
) -> tuple[Tensor, list[Tensor], Tensor]:
    """``count`` updates of ``u = a exp((f - f0) / blur)`` (..., N, 1) and of ``v`` (..., M, 1) alike: the exact one is
    ``u = a (kernel v)^-damp exp(-f0 / (reach + blur))``. Also the last three v, and the last ``kernel' u``."""
    n, m = kernel.shape[-2:]
    damp, turned = 1 / (1 + blur / reach), kernel.mT
    drop_u, drop_v = (f0 / -(reach + blur)).exp_().div_(n), (g0 / -(reach + blur)).exp_().div_(m)
    u, vs = v, [v]
    for k in range(count):
        row = (kernel @ v).clamp_(min=SMALL)
        u = _update(u, row, drop_u, damp, relax if k else 1.0)
        column = (turned @ u).clamp_(min=SMALL)
        v = _update(v, column, drop_v, damp, relax if k else 1.0)
        if k == 0 and reach < math.inf:
            shift = ((row.mT @ u) / (column.mT @ v).clamp_(min=SMALL)).clamp_(min=SMALL).log_()
            factor = (shift * (reach / (2 * blur))).clamp_(-30, 30).exp_()
            u, v = u * factor, v / factor
        vs.append(v)
    vs[-1] = v.clamp(SMALL, LARGE)
    return u.clamp_(SMALL, LARGE), vs[-3:], column


def _update(old: Tensor, product: Tensor, drop: Tensor, damp: float, relax: float) -> Tensor:
    new = product.pow(-damp).mul_(drop)
    if relax != 1:
        new.clamp_(SMALL, LARGE).pow_(relax).mul_(old.clamp(SMALL, LARGE).pow_(1 - relax)).clamp_(SMALL, LARGE)
    return new


def _relaxation(first: float, last: float, before: float, relax: float) -> float:
    """The best over-relaxation for sweeps whose error shrinks by ``last / first`` (Young 1954); 1 when it backfires."""
    if relax == 1:
        return min(2 / (1 + math.sqrt(1 - min(last / max(first, SMALL), 0.999))), 1.9)
    return 1.0 if last > 3 * before else relax


def _worth(potential: Tensor, reach: float) -> Tensor:
    """The dual objective's share of one marginal: ``mean reach (1 - exp(-f / reach))``, or ``mean f`` when balanced."""
    worth = potential if reach == math.inf else (potential / -reach).expm1_().mul_(-reach)
    return worth.mean((-2, -1))
