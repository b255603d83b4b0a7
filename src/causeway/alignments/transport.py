r"""Move source moments onto target moments at the least cost, features and actions together.

Each moment is a point y = (sqrt(p) z, sqrt(q) x) of feature z and label x (an action, or the state), and pairing source
i with target j costs

    cost[i, j] = |y_i - y_j|^2 = p |z_i - z_j|^2 + q |x_i - x_j|^2

The loss is the optimum, over plans P >= 0 with uniform weights a = 1/N and b = 1/M, of

    <P, cost> + blur KL(P | a b') + reach KL(P 1 | a) + reach KL(P' 1 | b),    KL(p|q) = sum p log(p/q) - p + q

or, for batches whose i-th moments belong together, over plans that move i to i alone: ``plan = "paired"``, to which the
settings of arXiv 2509.18631 amount. P is found without gradient: by the envelope theorem the optimum's gradient is that
of <P, cost> with P held, which is what Courty et al. 2017 (JDOT) and arXiv 2509.18631 (blur = epsilon, reach = tau,
p = alpha_1, q = alpha_2) follow.
A finite reach leaves moments without a counterpart unmatched: the plan does not pull them.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..data import Joint
from ..errors import ConfigError
from ..progress import say_once
from . import Alignment
from ._sinkhorn import SMALL, paired_plan, unbalanced_plan, unrolled

POINT = 1e-8  # of a squared distance to the origin: what is nearer than that is one point
NOTHING = 1e-3  # a plan that moves less mass pulls nobody


@dataclass(frozen=True)
class Config:
    """What a pair costs, how sharp the pairing is, and how far it may go."""

    feature_weight: float = 1.0  # raising it makes pairs agree more in features, alpha_1
    action_weight: float = 1.0  # raising it makes pairs agree more in actions, alpha_2; 0 compares features alone
    relative: bool = True  # true measures either cost in units of its batch mean; false takes squared distances as are
    blur: float = 0.05  # raising it spreads a moment over more partners and converges sooner, epsilon
    reach: float = 1.0  # raising it matches moments that are farther apart, tau; inf matches all of them
    relaxed: Literal["both", "source", "target"] = "both"  # whose moments may stay unmatched; of one side: semi-relaxed
    plan: Literal["full", "paired"] = "full"  # who may be matched: anyone, or the i-th moments of both batches
    label: Literal["actions", "action", "state"] = "actions"  # x: the whole chunk, its first action, or the state
    gradient: Literal["held", "unrolled"] = "held"  # unrolled differentiates ``iterations`` sweeps in float64, slowly
    iterations: int = 300  # raising it allows a small blur more sweeps; most batches stop after 10 to 40
    tolerance: float = 1e-2  # raising it stops sooner; the share of mass the last sweep may still have moved

    def build(self, width: int, actions: int) -> "Transport":
        if not (0 < self.blur < math.inf and self.reach > 0 and self.iterations > 0):
            raise ConfigError("transport needs a finite blur > 0, reach > 0 (inf for balanced) and iterations > 0.")
        if self.gradient == "unrolled" and self.plan == "paired":
            raise ConfigError("a paired plan has a closed form: there is nothing to unroll. Set gradient = 'held'.")
        return Transport(self)

    @property
    def reaches(self) -> tuple[float, float]:
        """The reach of the source's and of the target's marginal."""
        source, target = (self.reach if self.relaxed in (side, "both") else math.inf for side in ("source", "target"))
        return source, target


class Transport(Alignment):
    """The optimum of the transport problem between two batches; its gradient moves each pair together."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.paired = config.plan == "paired"
        self.plan: Tensor | None = None  # (N, M) of the last batch, without gradient

    def forward(self, source: Joint, target: Joint, progress: float) -> Tensor:
        clouds = source.features, target.features, self._label(source), self._label(target)
        loss: Tensor
        loss, self.plan = (_through if self.config.gradient == "unrolled" else _Held.apply)(*clouds, self.config)
        if self.plan.sum() < NOTHING:
            say_once(
                f"transport leaves all of a batch unmatched: every pair costs more than reach = {self.config.reach:g} "
                "allows, and none is pulled. Raise method.alignment.reach, or lower feature_weight and action_weight."
            )
        return loss

    def _label(self, joint: Joint) -> Tensor:
        """(B, ...) what pairs should agree in, without gradient."""
        if self.config.label != "state":
            whole = joint.actions.detach()
            return (whole[:, 0] if self.config.label == "action" else whole).flatten(1)
        if joint.state is None or not joint.state.shape[1]:
            raise ConfigError(
                "transport compares states, but there are none: set label = 'actions', or record a state."
            )
        return joint.state.detach()

    def notes(self) -> dict[str, float]:
        """How much was matched, and how sharply. With p the plan over its mass and m source moments' shares of it:

        transported_mass = sum P                   plan_entropy = -sum p log p, in nats; 0 where nothing is moved
        unmatched_source = sum (1/N - P 1)+        spread = exp(plan_entropy + sum m log m), partners of a moment
        """
        if self.plan is None:
            return {}
        row = self.plan.sum(1)
        mass = row.sum()
        whole = mass.clamp(min=torch.finfo(mass.dtype).eps)
        entropy, of_rows = (torch.special.entr(part / whole).sum() for part in (self.plan, row))
        return {
            "transported_mass": float(mass),
            "plan_entropy": float(entropy),
            "unmatched_source": float((1 / len(row) - row).clamp(min=0).sum()),
            "spread": float((entropy - of_rows).exp()),
        }


class _Held(torch.autograd.Function):
    """The optimum, by features s (N, D) and t (M, D) and actions x (N, A) and y (M, A); and its plan, which is held."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, t: Tensor, x: Tensor, y: Tensor, c: Config) -> tuple[Tensor, Tensor]:
        ctx.kinds = s.dtype, t.dtype
        with torch.autocast(s.device.type, enabled=False):
            zs, zt, distance, centre = _compared(s, t)
            ctx.weight = _weight(distance, centre, c.feature_weight, c.relative)
            cost = distance * ctx.weight + _apart(x, y, c)
            if c.plan == "paired":
                plan, optimum = paired_plan(cost, c.blur, c.reaches)
            else:
                plan, optimum = unbalanced_plan(cost, c.blur, c.reaches, c.iterations, c.tolerance)
            # the mean of a relative cost has a gradient too: all pairs together repel as strongly as the plan's attract
            pairs = plan - (plan * distance).sum() / distance.sum().clamp(min=SMALL) if c.relative else plan
        ctx.save_for_backward(zs, zt, pairs)
        ctx.mark_non_differentiable(plan)
        return optimum, plan

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        zs, zt, pairs = ctx.saved_tensors
        by_s, by_t, *_ = ctx.needs_input_grad
        with torch.autocast(zs.device.type, enabled=False):
            weight = gradients[0] * ctx.weight
            pull_s = (weight * pull(zs, zt, pairs)).to(ctx.kinds[0]) if by_s else None
            pull_t = (weight * pull(zt, zs, pairs.T)).to(ctx.kinds[1]) if by_t else None
        return pull_s, pull_t, None, None, None


def _through(s: Tensor, t: Tensor, x: Tensor, y: Tensor, c: Config) -> tuple[Tensor, Tensor]:
    """The optimum as far as ``iterations`` sweeps find it, by what torch differentiates itself; and its plan.

    In float64: the gradient of every sweep is a difference of potentials, which may be a million blurs large.
    """
    with torch.autocast(s.device.type, enabled=False):
        *_, distance, centre = _compared(s.double(), t.double())
        cost = distance * _weight(distance, centre.detach(), c.feature_weight, c.relative) + _apart(x, y, c)
        plan, optimum = unrolled(cost, c.blur, c.reaches, c.iterations)
    kind = torch.promote_types(s.dtype, torch.float32)
    return optimum.to(kind), plan.detach().to(kind)


def _apart(x: Tensor, y: Tensor, c: Config) -> Tensor | float:
    """The share of labels x (N, A) and y (M, A) in the cost, (N, M)."""
    if not c.action_weight:
        return 0.0
    *_, apart, centre = _compared(x, y)
    return apart * _weight(apart, centre, c.action_weight, c.relative)


def pull(own: Tensor, other: Tensor, pairs: Tensor) -> Tensor:
    """The gradient, by own (N, D), of ``sum_ij pairs_ij |own_i - other_j|^2``: 2 sum_j pairs_ij (own_i - other_j)."""
    return torch.addmm(pairs.sum(1, keepdim=True) * own, pairs, other, beta=2, alpha=-2)


def _weight(distance: Tensor, centre: Tensor, weight: float, relative: bool) -> Tensor | float:
    """The factor of squared distances in the cost. Clouds that are one point but for rounding are not blown up."""
    return weight / distance.mean().clamp(min=SMALL + POINT * centre @ centre) if relative else weight


def _compared(s: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two clouds about their common centre, where ``|s|^2 + |t|^2 - 2 s t`` loses no digits, in at least float32; their
    squared distances; and that centre."""
    both = torch.cat([s, t])
    both = both.to(torch.promote_types(both.dtype, torch.float32))
    centre = both.mean(0)
    both = both - centre
    s, t = both[: len(s)], both[len(s) :]
    return s, t, squared_distances(s, t), centre


def squared_distances(s: Tensor, t: Tensor) -> Tensor:
    """``|s_i - t_j|^2``: (N, D), (M, D) -> (N, M)."""
    square = s.square().sum(1)[:, None] + t.square().sum(1)
    return square.addmm_(s, t.T, alpha=-2).clamp_(min=0)
