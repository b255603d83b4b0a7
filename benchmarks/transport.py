"""Forward and backward of the transport loss beside geomloss and POT, in one run.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/transport.py [--repeats 20] [--sizes 64,256,512]

Milliseconds are medians over interleaved repeats, on one thread and in processor time: what a clock on the wall shows
when nobody else uses the machine. Two errors stand beside them, against POT in float64 run to
convergence: of the loss (the whole optimum, which geomloss returns as well), and of the source features' gradient.
causeway has its default tolerance; POT stops at the loosest threshold tried that brings the loss within 1e-3, or at the
tightest if none does.
"""

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import geomloss
import numpy as np
import ot
import torch
from torch import Tensor

from causeway.alignments.transport import Config
from causeway.data import Joint

SETTINGS = [  # cloud, blur, reach
    ("gauss", 0.05, 1.0),
    ("gauss", 0.05, 0.1),
    ("gauss", 0.2, 10.0),
    ("clusters", 0.05, 1.0),
    ("clusters", 0.02, 1.0),
    ("clusters", 0.1, math.inf),
]
SLOW_S = 4.0
POT = {"POT": "sinkhorn", "POT stabilized": "sinkhorn_stabilized", "POT invariant": "sinkhorn_translation_invariant"}


class Answer(NamedTuple):
    loss: float
    gradient: Tensor


Solver = Callable[[], Answer]


def clouds(kind: str, n: int) -> tuple[Tensor, Tensor]:
    """256 features, mean squared distance about 4.3."""
    draw = torch.Generator().manual_seed(n)
    if kind == "gauss":
        s, t = (torch.randn(n, 256, generator=draw) for _ in range(2))
        return s * math.sqrt(4.3 / 512), t * math.sqrt(4.3 / 512)
    centres = torch.randn(8, 256, generator=draw) * 0.095
    s, t = (centres[torch.arange(n) % k] + 0.03 * torch.randn(n, 256, generator=draw) for k in (8, 6))
    return s, t


def optimum(plan: Tensor, cost: Tensor, blur: float, reach: float) -> float:
    """The primal objective at a plan, in float64."""
    n, m = plan.shape

    def kl(p: Tensor, q: float) -> float:
        return float((torch.special.xlogy(p, p / q) - p + q).sum())

    value = float((plan * cost).sum()) + blur * kl(plan, 1 / (n * m))
    return value if reach == math.inf else value + reach * (kl(plan.sum(1), 1 / n) + kl(plan.sum(0), 1 / m))


def ours(s: Tensor, t: Tensor, blur: float, reach: float, tolerance: float) -> Solver:
    align = Config(relative=False, action_weight=0, blur=blur, reach=reach, tolerance=tolerance).build(256, 1)
    labels = torch.zeros(len(s), 1)

    def solve() -> Answer:
        z = s.clone().requires_grad_()
        loss = align(Joint(z, labels), Joint(t, labels), 0.0)
        return Answer(float(loss.detach()), torch.autograd.grad(loss, z)[0])

    return solve


def geom(s: Tensor, t: Tensor, blur: float, reach: float, scaling: float) -> Solver:
    loss_of = geomloss.SamplesLoss(
        "sinkhorn",
        p=2,  # its cost is half the squared distance, hence sqrt(2)
        blur=math.sqrt(blur),
        reach=None if reach == math.inf else math.sqrt(reach),
        scaling=scaling,
        debias=False,
        backend="tensorized",
    )

    def solve() -> Answer:
        z = s.clone().requires_grad_()
        loss = loss_of(z * math.sqrt(2), t * math.sqrt(2))
        return Answer(float(loss.detach()), torch.autograd.grad(loss, z)[0])

    return solve


def pot(s: Tensor, t: Tensor, blur: float, reach: float, method: str, stop: float, most: int = 2000) -> Solver:
    s, t = s.double(), t.double()
    a, b = np.full(len(s), 1 / len(s)), np.full(len(t), 1 / len(t))

    def solve() -> Answer:
        z = s.clone().requires_grad_()
        cost = torch.cdist(z, t, compute_mode="use_mm_for_euclid_dist").square()
        fixed = cost.detach().numpy()
        if reach == math.inf:
            solver = {"sinkhorn": "sinkhorn", "sinkhorn_stabilized": "sinkhorn_stabilized"}.get(method, "sinkhorn_log")
            plan = ot.sinkhorn(a, b, fixed, blur, method=solver, stopThr=stop, numItermax=most)
        else:
            plan = ot.unbalanced.sinkhorn_unbalanced(
                a, b, fixed, blur, reach, method=method, reg_type="kl", stopThr=stop, numItermax=most
            )
        held = torch.from_numpy(plan)
        solve.plan, solve.cost = held, cost.detach()
        return Answer(math.nan, torch.autograd.grad((held * cost).sum(), z)[0])

    return solve


def answer_of(solve: Solver, blur: float, reach: float) -> Answer:
    answer = solve()
    if hasattr(solve, "plan"):  # the objective of POT's plan is not part of its time
        answer = answer._replace(loss=optimum(solve.plan, solve.cost, blur, reach))
    return answer


def errors(answer: Answer, truth: Answer) -> tuple[float, float]:
    gap = (answer.gradient.double() - truth.gradient).norm() / truth.gradient.norm()
    return abs(answer.loss - truth.loss) / abs(truth.loss), float(gap)


def rivals(s: Tensor, t: Tensor, blur: float, reach: float, truth: Answer) -> dict[str, Solver]:
    solvers = {"causeway": ours(s, t, blur, reach, Config.tolerance)}
    solvers |= {f"geomloss {scaling}": geom(s, t, blur, reach, scaling) for scaling in (0.5, 0.9)}
    for name, method in POT.items():
        for stop in (1e-2, 1e-3, 1e-4, 1e-6):
            solvers[name] = pot(s, t, blur, reach, method, stop)
            if errors(answer_of(solvers[name], blur, reach), truth)[0] <= 1e-3:
                break
    return solvers


def times_ms(solvers: dict[str, Solver], repeats: int) -> dict[str, float]:
    """Medians. Each round begins with another solver, and one that has had SLOW_S is not asked again."""
    taken: dict[str, list[float]] = {name: [] for name in solvers}
    names = list(solvers)
    for first in range(repeats):
        for name in names[first % len(names) :] + names[: first % len(names)]:
            if sum(taken[name]) < SLOW_S:
                start = time.process_time()
                solvers[name]()
                taken[name].append(time.process_time() - start)
    return {name: 1e3 * statistics.median(seconds) for name, seconds in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--sizes", default="64,256,512")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}, geomloss {geomloss.__version__}, POT {ot.__version__}; ", end="")
    print(f"1 thread, median of {options.repeats}; each cell: ms (error of loss, error of gradient)\n")
    for row, (kind, blur, reach) in enumerate(SETTINGS):
        for n in map(int, options.sizes.split(",")):
            s, t = clouds(kind, n)
            reference = pot(s, t, blur, reach, POT["POT"], 1e-12, 100_000)
            truth = answer_of(reference, blur, reach)
            solvers = rivals(s, t, blur, reach, truth)
            answers = {name: errors(answer_of(solve, blur, reach), truth) for name, solve in solvers.items()}
            times = times_ms(solvers, options.repeats)
            if row == 0 and n == int(options.sizes.split(",")[0]):
                print("| cloud | blur | reach | n |", " | ".join(solvers), "|")
                print("|---|---|---|---|" + "---|" * len(solvers))
            cells = [f"{times[k]:.2f} ({answers[k][0]:.0e}, {answers[k][1]:.0e})" for k in solvers]
            print(f"| {kind} | {blur} | {reach} | {n} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
