"""Episodes a second of an evaluation, by how many worlds are driven side by side.

    python benchmarks/driving.py runs/quickstart/transport-s0

The run's own agent drives the same episodes of its target's simulator each time, on one thread and in processor time; a
world begins the next episode as soon as its last has ended.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch

from causeway import driving
from causeway.run import deploy, open_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--worlds", type=int, nargs="+", default=[1, 8, 64])
    given = parser.parse_args()
    torch.set_num_threads(1)
    run = open_run(given.run)
    e, agent = run.experiment, deploy(run)
    print("| worlds | episodes/s | steps/s |")
    print("|---|---|---|")
    for worlds in given.worlds:
        settings = replace(e.evaluate, episodes=given.episodes, worlds=worlds)
        began = time.process_time()
        traces = driving.drive(agent, e.target.simulator, settings, (e.picture.height, e.picture.width), e.target.crop)
        seconds = time.process_time() - began
        steps = sum(len(trace.actions) for trace in traces)
        print(f"| {worlds} | {len(traces) / seconds:.2f} | {steps / seconds:.0f} |")


if __name__ == "__main__":
    main()
