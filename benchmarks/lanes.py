"""Frames per second of `lanes` beside CarRacing-v3, one after the other in one process. Both step and draw each frame.

OMP_NUM_THREADS=2 python benchmarks/lanes.py
"""

import os
import time

import gymnasium
import numpy as np
import torch

from causeway.simulators.lanes import Config

ROUNDS = 5  # the best of so many counts: others may be using the machine
FRAMES = 640  # a round, about


def frames_per_second(step, batch):
    steps = max(FRAMES // batch, 10)
    best = 0.0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(steps):
            step()
        best = max(best, steps * batch / (time.perf_counter() - start))
    return best


def lanes(preset, batch):
    worlds = Config(preset=preset, limit_s=1e9).build(batch)
    worlds.reset(seed=0)

    def step():
        _, _, ended, _, _ = worlds.step(worlds.expert())
        if ended.any():
            worlds.end[:] = 0  # drive on: building tracks is measured apart
            worlds.progress[:] = 0

    return frames_per_second(step, batch)


def resets_per_second(batch=32):
    worlds = Config().build(batch)
    start = time.perf_counter()
    worlds.reset(seed=0)
    return batch / (time.perf_counter() - start)


def car_racing():
    env = gymnasium.make("CarRacing-v3", continuous=True)
    env.reset(seed=0)
    action = np.array([0.0, 0.3, 0.0], np.float32)

    def step():
        *_, ended, cut, _ = env.step(action)
        if ended or cut:
            env.reset()

    return frames_per_second(step, 1)


def main():
    load = os.getloadavg()[0]  # above 0: somebody else is using the machine, and the numbers are too low
    threads = torch.get_num_threads()
    print(f"torch {torch.__version__}, {threads} threads, best of {ROUNDS} rounds, load before {load:.1f}\n")
    print("| simulator | picture | batch | frames/s |\n|---|---|---:|---:|")
    for preset in ("source", "target"):
        for batch in (1, 64):
            print(f"| lanes, {preset} | 64x96 | {batch} | {lanes(preset, batch):,.0f} |")
    try:
        print(f"| CarRacing-v3 | 96x96 | 1 | {car_racing():,.0f} |")
    except gymnasium.error.DependencyNotInstalled:
        print('| CarRacing-v3 | 96x96 | 1 | Box2D is absent: pip install "gymnasium[box2d]" |')
    print(f"\nlanes builds {resets_per_second():,.0f} tracks/s at a reset.")


if __name__ == "__main__":
    main()
