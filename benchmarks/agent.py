"""What the parts around a policy cost: one Agent step beside the bare forward of its policy.

    python benchmarks/agent.py

An Agent step is bridge, policy, action map and monitor for one vehicle. Both run interleaved on one thread, in
processor time, so that a busy neighbour does not count.
"""

import time

import numpy as np
import torch

from causeway import config
from causeway.agent import Agent
from causeway.data import Spec

REPEATS = 600


def main() -> None:
    torch.set_num_threads(1)
    print(
        "| policy | picture | bare forward p50 / p99, ms | Agent step p50 / p99, ms | p50 over bare | p99 over bare |"
    )
    print("|---|---|---|---|---|---|")
    for name, height, width in (("cnn", 64, 96), ("squeezenet", 64, 112), ("resnet", 96, 128)):
        bare, step = measure(name, height, width)
        cells = [f"{np.percentile(t, 50):.2f} / {np.percentile(t, 99):.2f}" for t in (bare, step)]
        over = [f"{100 * (np.percentile(step, p) / np.percentile(bare, p) - 1):+.1f} %" for p in (50, 99)]
        print(f"| {name} | {height}x{width} | {cells[0]} | {cells[1]} | {over[0]} | {over[1]} |")


def measure(name: str, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of REPEATS bare forwards and of as many Agent steps."""
    policy = config.component("policy", {"name": name}).build(Spec(1, height, width, 1, 1, 2)).eval()
    parts = [config.component(kind, part).build() for kind, part in (("bridge", "identity"), ("action", "smooth"))]
    agent = Agent(policy, *parts, config.component("monitor", "limits").build())
    agent.reset(np.ones(1, bool))
    images = np.random.default_rng(0).integers(0, 255, (1, 1, 3, height, width)).astype(np.uint8)
    state = np.zeros((1, 1), np.float32)
    seen, felt = torch.from_numpy(images), torch.from_numpy(state)
    times = np.zeros((2, REPEATS))
    for i in range(-20, REPEATS):
        began = time.process_time()
        with torch.inference_mode():
            policy.act(seen, felt).numpy()
        middle = time.process_time()
        agent.act(images, state)
        if i >= 0:
            times[:, i] = 1000 * (middle - began), 1000 * (time.process_time() - middle)
    return times[0], times[1]


if __name__ == "__main__":
    main()
