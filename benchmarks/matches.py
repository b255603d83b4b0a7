"""Whom transport matches in manipulation: how far apart the things lie that matched moments reach for.

    python benchmarks/matches.py RUN --data FOLDER

RUN is a finished run of experiments/manipulation.toml or manipulation_tune.toml, whose policy gives the features, and
FOLDER what it was run with. Where a thing lies no policy is told; it is where the hand is when a demonstration ends.
A cell is the mean distance under the plan, in centimetres, over batches of 64 training moments of either side, drawn
apart and in pairs of DTW, and in brackets the share of the mass that is matched; "-" where nothing is.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causeway import domain
from causeway.alignments.transport import NOTHING, Config
from causeway.bridges.identity import Config as Identity
from causeway.data import Joint, Moments
from causeway.draws import Pairing, Pairs
from causeway.methods.imitation import Labelled
from causeway.policies import Policy
from causeway.run import load_part, open_run

Chosen = tuple[NDArray[np.int64], NDArray[np.int64]]
BATCH, BATCHES = 64, 12
SHARPNESS = (None, 10.0, 50.0)  # None draws both sides apart
LABELS: list[tuple[Literal["actions", "action", "state"], tuple[float, ...]]] = [
    ("actions", (0.0, 1.0, 10.0)),
    ("action", (1.0,)),
    ("state", (1.0, 10.0)),
]
KINDS: tuple[Literal["full", "paired"], ...] = ("full", "paired")
PLANS = [
    Config(plan=plan, label=label, action_weight=weight, reach=reach)
    for plan in KINDS
    for label, weights in LABELS
    for weight in weights
    for reach in (1.0, 0.1)
]


def sides(folder: Path, data: Path) -> tuple[Moments, Moments, Policy]:
    """The training moments of both domains, and the policy trained on them."""
    run, policy = open_run(folder, data), load_part(folder)
    assert isinstance(policy, Policy)
    e = run.experiment
    if isinstance(policy, Labelled) or not isinstance(e.method.bridge, Identity):
        raise SystemExit(f"{folder}: the policy is told its domain, or looks through a bridge. Choose another arm.")
    shown = e.picture, e.horizon, run.cache, e.seed
    source = domain.build("source", e.source, *shown, history=e.history)
    recordings = replace(e.target, simulator=None, held_out=e.target.tune)
    target = domain.build("target", recordings, *shown, source=source, history=e.history)
    return source.labelled, target.labelled, policy.eval()


def drawn(source: Moments, target: Moments, pairs: Path, sharpness: float | None) -> Iterator[Chosen]:
    """The places of the moments of one batch after another."""
    rng = np.random.default_rng(0)
    together = None
    if sharpness is not None:
        together = Pairs(Pairing(file=str(pairs), window=1, sharpness=sharpness), source, target)
    for _ in range(BATCHES):
        if together:
            yield together.draw(rng, BATCH)
        else:
            yield rng.integers(len(source), size=BATCH), rng.integers(len(target), size=BATCH)


@torch.no_grad()
def joint(policy: Policy, moments: Moments, chosen: NDArray[np.int64]) -> Joint:
    """What an alignment would compare of the moments at ``chosen``."""
    batch = moments.take(chosen)
    assert batch.actions is not None
    features = policy.project(policy.embed(batch.images), batch.state)
    return Joint(features, (batch.actions - policy.action_mean) / policy.action_scale, policy.scaled(batch.state))


def apart(source: Moments, target: Moments, ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> Tensor:
    """(N, N) centimetres between the places where the episodes of the moments end."""
    ends = []
    for side, chosen in ((source, ours), (target, theirs)):
        last = np.searchsorted(side.episode, side.episode[side.rows[chosen]], side="right") - 1
        ends.append(torch.from_numpy(side.state[last][:, : side.state_names.index("eef_z_m")]))
    return 100 * torch.cdist(ends[0], ends[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    source, target, policy = sides(given.run, given.data)
    rows: dict[str, list[str]] = {}
    for sharpness in SHARPNESS:
        found: dict[str, list[tuple[float, float]]] = {}
        for ours, theirs in drawn(source, target, given.data / "pairs.parquet", sharpness):
            far = apart(source, target, ours, theirs)
            found.setdefault("all with all | | |", []).append((float(far.mean()), 1.0))
            moments = joint(policy, source, ours), joint(policy, target, theirs)
            for config in PLANS:
                align = config.build(policy.width, 0)
                align(*moments, 1.0)
                assert align.plan is not None
                mass = float(align.plan.sum())
                name = f"{config.plan} | {config.label} | {config.action_weight:g} | {config.reach:g}"
                found.setdefault(name, []).append((float((align.plan * far).sum()), mass))
        for name, each in found.items():
            moved, mass = np.sum(each, 0)
            share = mass / len(each)
            rows.setdefault(name, []).append(f"{moved / mass:.1f} ({share:.2f})" if share > NOTHING else "-")
    print("| plan | label | action_weight | reach | drawn apart | in pairs, sharpness 10 | sharpness 50 |")
    print("|---|---|---|---|---|---|---|")
    for name, cells in rows.items():
        print(f"| {name} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
