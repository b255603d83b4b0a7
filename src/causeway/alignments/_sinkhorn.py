"""The solver behind ``transport``: Sinkhorn's algorithm, unbalanced, batched, safe in float32.

Written once for two array libraries, ``xp``: torch, and numpy for small problems on the CPU, whose operations are so
short that starting them is what takes the time: numpy starts one about four times as fast.
"""

import math
from itertools import chain, repeat
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError

SMALL, LARGE = 1e-30, 1e16  # scalings stay between, so that no product of two and a kernel leaves float32
WARM, ROUND, COOLING = 5, 10, 8  # sweeps until the first test of convergence and until each later one; blur over next
FEW = 8192  # entries of a cost up to which numpy is faster, and its BLAS stays on one thread

Array = Any  # of either library
Reaches = tuple[float, float]  # of the source and of the target


class Plan(NamedTuple):
    """A solved transport problem."""

    plan: Tensor  # (..., N, M) the mass moved from i to j
    optimum: Tensor  # (...) the value of the whole problem, not <plan, cost> alone


@torch.no_grad()
def unbalanced_plan(
    cost: Tensor, blur: float, reach: float | Reaches = math.inf, iterations: int = 300, tolerance: float = 1e-2
) -> Plan:
    """The plan P >= 0 of least ``<P, cost> + blur KL(P | a b') + r KL(P 1 | a) + q KL(P' 1 | b)``, for ``cost >= 0``
    (..., N, M) and uniform weights a = 1/N, b = 1/M; ``reach`` is the pair (r, q), or both of them. (inf, inf) is
    balanced transport, one of them inf semi-relaxed.

    Sinkhorn on the dual potentials f, g, where P = a b exp((f + g - cost) / blur), by products with a kernel that is
    scaled anew when the scalings grow (Schmitzer 2019), from a large blur down; the shift of f against g is solved
    exactly (Sejourne et al. 2022) and the sweeps are over-relaxed by the rate they show (Thibault et al. 2021).
    """
    reach = reach if isinstance(reach, tuple) else (reach, reach)
    if cost.device.type != "cpu" or cost.numel() > FEW:
        return Plan(*_solve(torch, cost, blur, reach, iterations, tolerance))
    with np.errstate(all="ignore"):  # as torch does
        plan, optimum = _solve(np, cost.detach().numpy(), blur, reach, iterations, tolerance)
    return Plan(torch.from_numpy(plan), torch.as_tensor(optimum, dtype=cost.dtype))


def _solve(xp: Any, cost: Array, blur: float, reach: Reaches, iterations: int, tolerance: float) -> tuple[Array, Array]:
    n, m = cost.shape[-2:]
    kernel = xp.empty_like(cost)
    g = xp.zeros_like(cost[..., :1, :]).swapaxes(-1, -2)
    blurs = _cooling(float(cost.mean()), blur)
    sweeps, relax, last, stale, count = 0, 1.0, math.inf, True, WARM
    for now in chain(blurs, repeat(blur)):
        if stale:
            f0, g0 = _scale(xp, kernel, cost, g, now)
            rest = g - g0 if reach[0] < math.inf else g - g0 - xp.amax(g - g0, -2, keepdims=True)  # u makes up for it
            v = xp.clip(xp.exp(rest / now) / m, SMALL, LARGE)
        u, vs, column = _sweep(xp, kernel, v, f0, g0, now, reach, relax, count)
        v, sweeps = vs[-1], sweeps + count
        if now == blur:
            before, (first, last) = last, _moved(xp, vs, column)
            largest = max(float(u.max()), float(v.max()))  # at their bound scalings rest, converged or not
            if (last <= tolerance and largest < LARGE) or sweeps >= iterations:
                break
            relax = _relaxation(first, last, before, relax) if count == ROUND else relax
            stale, count = largest * max(n, m) > 1e6, ROUND
        g = g0 + now * xp.log(v * m) if stale else g
    if relax != 1:  # end on an exact update: a balanced plan then moves mass 1 even where sweeps ran out
        u, (*_, v), _ = _sweep(xp, kernel, v, f0, g0, blur, reach, 1.0, 1)
    f, g = f0 + blur * xp.log(u * n), g0 + blur * xp.log(v * m)
    kernel *= u
    kernel *= v.swapaxes(-1, -2)
    return kernel, _worth(xp, f, reach[0]) / n + _worth(xp, g, reach[1]) / m + blur * (1 - kernel.sum((-2, -1)))


@torch.no_grad()
def paired_plan(cost: Tensor, blur: float, reach: Reaches) -> Plan:
    """The same problem where moment i may go to moment i alone, ``cost`` (..., N, N): relative to ``I / N`` instead of
    ``a b'`` it has the closed form ``P_ii = exp(-cost_ii / s) / N`` and the optimum ``s mean(1 - N P_ii)``, where
    ``s = blur + r + q``. No mass is left out where either reach is inf.
    """
    if cost.shape[-2] != cost.shape[-1]:
        raise ConfigError(
            f"a paired plan needs as many source as target moments, not {cost.shape[-2]} and {cost.shape[-1]}."
        )
    between, size = cost.diagonal(dim1=-2, dim2=-1), blur + sum(reach)
    n = cost.shape[-1]
    return Plan(torch.diag_embed(torch.exp(between / -size) / n), _worth(torch, between[..., None], size) / n)


def unrolled(cost: Tensor, blur: float, reach: Reaches, sweeps: int) -> Plan:
    """``unbalanced_plan`` by ``sweeps`` plain updates of the potentials, which keep their gradient by ``cost``."""
    (n, m), (r, q) = cost.shape[-2:], reach
    f, g = cost.new_zeros(n, 1), cost.new_zeros(1, m)
    for _ in range(sweeps):
        f = -blur / (1 + blur / r) * torch.logsumexp((g - cost) / blur - math.log(m), 1, keepdim=True)
        g = -blur / (1 + blur / q) * torch.logsumexp((f - cost) / blur - math.log(n), 0, keepdim=True)
    plan = torch.exp((f + g - cost) / blur) / (n * m)
    return Plan(plan, _worth(torch, f, r) / n + _worth(torch, g, q) / m + blur * (1 - plan.sum()))


def _cooling(scale: float, blur: float) -> list[float]:
    """The larger blurs to pass on the way down to ``blur``, and how often: 1/8 of the typical cost, 1/64, ..."""
    if not scale < math.inf:
        return []
    steps = math.log(max(scale / blur, 1)) / math.log(COOLING)
    return [scale / COOLING**k for k in range(1, math.floor(steps - 0.3) + 1)]


def _moved(xp: Any, vs: list[Array], column: Array) -> tuple[float, float]:
    """The mass that the last sweep but one and the last one moved between target moments, at most over the stack."""
    before, middle, now = vs
    first, last = ((xp.abs(b - a) * column).sum(-2).max() for a, b in ((before, middle), (middle, now)))
    return float(first), float(last)


def _scale(xp: Any, kernel: Array, cost: Array, g: Array, blur: float) -> tuple[Array, Array]:
    """Fill ``kernel = exp((f0 + g0 - cost) / blur)`` such that the largest entry of every row and column is 1."""
    f0 = xp.amin(xp.subtract(cost, g.swapaxes(-1, -2), out=kernel), -1, keepdims=True)
    g0 = xp.amin(xp.subtract(cost, f0, out=kernel), -2, keepdims=True)
    kernel -= g0
    kernel *= -1 / blur
    xp.exp(xp.clip(kernel, -60, None, out=kernel), out=kernel)  # below e^-60 numbers turn subnormal: slow, and no use
    return f0, g0.swapaxes(-1, -2)


def _sweep(
    xp: Any, kernel: Array, v: Array, f0: Array, g0: Array, blur: float, reach: Reaches, relax: float, count: int
) -> tuple[Array, list[Array], Array]:
    """``count`` updates of ``u = a exp((f - f0) / blur)`` (..., N, 1) and of ``v`` (..., M, 1) alike: the exact one is
    ``u = a (kernel v)^-damp exp(-f0 / (reach + blur))``. Also the last three v, and the last ``kernel' u``."""
    (n, m), (r, q) = kernel.shape[-2:], reach
    (damp_u, damp_v), turned = (1 / (1 + blur / r), 1 / (1 + blur / q)), kernel.swapaxes(-1, -2)
    drop_u, drop_v = xp.exp(f0 / -(r + blur)) / n, xp.exp(g0 / -(q + blur)) / m
    u, vs = v, [v]
    for k in range(count):
        row = kernel @ v
        row += SMALL
        u = _update(xp, u, row, drop_u, damp_u, relax if k else 1.0)
        column = turned @ u
        column += SMALL
        v = _update(xp, v, column, drop_v, damp_v, relax if k else 1.0)
        if k == 0 and min(reach) < math.inf:
            shift = (row.swapaxes(-1, -2) @ u + SMALL) / (column.swapaxes(-1, -2) @ v + SMALL)
            factor = xp.exp(xp.clip(xp.log(shift) / (blur / r + blur / q), -30, 30))
            u, v = u * factor, v / factor
        vs.append(v)
    vs[-1] = xp.clip(v, SMALL, LARGE)
    return xp.clip(u, SMALL, LARGE), vs[-3:], column


def _update(xp: Any, old: Array, product: Array, drop: Array, damp: float, relax: float) -> Array:
    new = product**-damp
    new *= drop
    if relax == 1:
        return new
    return xp.clip(xp.clip(new, SMALL, LARGE) ** relax * xp.clip(old, SMALL, LARGE) ** (1 - relax), SMALL, LARGE)


def _relaxation(first: float, last: float, before: float, relax: float) -> float:
    """The best over-relaxation for sweeps whose error shrinks by ``last / first`` (Young 1954); 1 when it backfires."""
    if relax == 1:
        return min(2 / (1 + math.sqrt(1 - min(last / max(first, SMALL), 0.999))), 1.9)
    return 1.0 if last > 3 * before else relax


def _worth(xp: Any, potential: Array, reach: float) -> Array:
    """The dual objective's share of one marginal: ``sum reach (1 - exp(-f / reach))``, or ``sum f`` when balanced."""
    worth = potential if reach == math.inf else -reach * xp.expm1(potential / -reach)
    return worth.sum((-2, -1))
