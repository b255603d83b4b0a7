"""robosuite's worlds: pictures a second with and without the fast settings, and episodes a second by processes.

Usage: python benchmarks/arms.py [--task Lift] [--episodes 12] [--size 84]
The file bears no library's name: worlds are processes that import from here. Steps are the median of three timings.
"""

import argparse
import statistics
import time
from dataclasses import replace
from typing import Any

import numpy as np

from causeway.simulators._robosuite_presets import Look
from causeway.simulators.robosuite import Config


def steps_a_second(config: Config, looks: bool, steps: int = 30) -> float:
    """Steps a second in one world that is told to rest, with every picture looked at, or none."""
    worlds = config.build(1)
    seen, _ = worlds.reset(seed=[0])
    seen["images"]
    rates = []
    for _ in range(3):
        worlds.reset(seed=[0])
        began = time.perf_counter()
        for _ in range(steps):
            seen, _, _, _, info = worlds.step(np.zeros((1, 7), np.float32))
            assert not info["error"][0], info["error"][0]
            if looks:
                seen["images"]
        rates.append(steps / (time.perf_counter() - began))
    worlds.close()
    return statistics.median(rates)


def episodes_a_second(config: Config, episodes: int, every: int) -> float:
    """Expert's episodes a second, a picture looked at each ``every`` steps, worlds begun before."""
    worlds: Any = config.build(config.processes)
    seen, _ = worlds.reset(seed=list(range(worlds.num_envs)))
    seen["images"]
    began, done, step = time.perf_counter(), 0, 0
    while done < episodes:
        seen, _, _, _, info = worlds.step(worlds.expert())
        assert not any(info["error"]), info["error"]
        step += 1
        if step % every == 0:
            seen["images"]
        ended = info["end"] != ""
        if ended.any():
            done += int(ended.sum())
            worlds.reset(seed=[done + k for k in range(worlds.num_envs)], options={"reset_mask": ended})
    rate = done / (time.perf_counter() - began)
    worlds.close()
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="Lift")
    parser.add_argument("--episodes", type=int, default=12)
    parser.add_argument("--size", type=int, default=84)
    given = parser.parse_args()
    plain = Config(task=given.task, height=given.size, width=given.size, processes=1)
    print(f"{given.task}, two cameras of {given.size} x {given.size}\n\nsteps a second, one world")
    for words, config, looks in (
        ("as robosuite does it: reflections, antialiasing, torques at 500 Hz", slow(plain), True),
        ("fast pictures", replace(plain, controller_hz=500.0), True),
        ("fast pictures, torques at 100 Hz (default)", plain, True),
        ("default, nobody looks", plain, False),
    ):
        print(f"  {steps_a_second(config, looks):7.1f}  {words}", flush=True)
    print("\nepisodes a second, expert, a picture every 4 steps")
    for processes in (1, 2, 4):
        rate = episodes_a_second(replace(plain, processes=processes), given.episodes, every=4)
        print(f"  {rate:7.2f}  {processes} processes", flush=True)


def slow(config: Config) -> Config:
    """The settings that robosuite comes with."""
    return replace(config, fast=False, controller_hz=500.0, look=Look(shadows=True))


if __name__ == "__main__":
    main()
