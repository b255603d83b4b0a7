"""What transport adds to a training step of imitation: the same step on the same pictures, with it and without.

    OMP_NUM_THREADS=1 python benchmarks/alignment.py

128 source and 128 target moments a step, each seen by two cameras of 84x84, with chunks of 8 actions of 7 numbers. The
steps of all kinds take turns in one process, on one thread and in processor time; the ratio of their medians is the
result.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from causeway import config
from causeway.alignments.none import NoAlignment
from causeway.data import Domain, Moments

POLICIES = {
    "squeezenet, frozen": {"name": "squeezenet", "layer": 6, "rows": 4, "columns": 8, "weights": "random"},
    "cnn": {"name": "cnn"},
    "resnet, width 16": {"name": "resnet", "width": 16, "keypoints": 32},
    "resnet, width 64": {"name": "resnet", "width": 64, "keypoints": 32},
}
PLANS = {"full": {}, "paired": {"plan": "paired"}}


def side(name: str, seed: int, folder: Path) -> Domain:
    rng = np.random.default_rng(seed)
    count = 400
    moments = Moments(
        frames=rng.integers(0, 255, (count, 2, 3, 84, 84)).astype(np.uint8),
        state=rng.normal(size=(count, 9)).astype(np.float32),
        actions=rng.normal(size=(count, 7)).astype(np.float32),
        episode=np.zeros(count, np.int64),
        time_s=np.arange(count) / 20,
        rows=np.arange(count),
        horizon=8,
        state_names=tuple(f"joint_{i}" for i in range(9)),
        action_names=tuple(f"joint_{i}" for i in range(7)),
        episode_names=("e0",),
    )
    nobody = moments.select(np.arange(0))
    return Domain(name, moments, moments.hidden(), nobody, nobody, nobody, cache=folder)


def compare(policy: dict[str, object], seconds: float, folder: Path) -> dict[str, float]:
    """Median milliseconds of a step without transport and with each plan."""
    torch.manual_seed(0)
    settings = {"name": "imitation", "batch": 256, "copies": 1, "policy": policy, "alignment": "transport"}
    method = config.component("method", settings).build(side("source", 0, folder), side("target", 1, folder), seed=0)
    method.prepare()
    method.streams = method.streams[
        :2
    ]  # the source's and the target's demonstrations, without unlabelled moments beside
    optimizer = torch.optim.AdamW(method.parameters(), 1e-4)
    batches = method.batches(0)
    plans = {name: config.component("alignment", {"name": "transport", **own}) for name, own in PLANS.items()}
    kinds = {"without": NoAlignment()} | {name: plan.build(method.policy.width, 56) for name, plan in plans.items()}
    times: dict[str, list[float]] = {name: [] for name in kinds}
    while sum(sum(taken) for taken in times.values()) < 1e3 * seconds:
        for name, alignment in kinds.items():
            method.alignment = alignment
            began = time.process_time()
            loss = sum(method.cost(next(batches), 0.5).terms.values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            times[name].append(1e3 * (time.process_time() - began))
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=40.0, help="for each policy")
    parser.add_argument(
        "--policies", nargs="*", default=["squeezenet, frozen", "cnn", "resnet, width 16"], choices=POLICIES
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| policy | without, ms a step |", " | ".join(f"{name}, ms | ratio" for name in PLANS), "|")
    print("|---|---|" + "---|---|" * len(PLANS))
    with tempfile.TemporaryDirectory() as folder:
        for name in options.policies:
            took = compare(POLICIES[name], options.seconds, Path(folder))
            cells = [f"{took[plan]:.1f} | {took[plan] / took['without']:.3f}" for plan in PLANS]
            print(f"| {name} | {took['without']:.1f} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
