"""How often robosuite's scripted experts do what they should, with and without noise on their commands.

    python benchmarks/experts.py [--episodes 100] [--tasks Lift Stack ...]

As `causeway collect` drives them: pushed off their path by a slow random walk, from which they have to return.
"""

import argparse
from typing import Any, get_args

import numpy as np

from causeway.collect import MEMORY
from causeway.simulators._robosuite_presets import Task
from causeway.simulators.robosuite import Config


def successes(task: Any, episodes: int, noise: float, processes: int) -> tuple[int, float]:
    """How many of the first ``episodes`` seeds end well, and the mean seconds that these take."""
    worlds = Config(task=task, processes=processes).build(processes)
    rng = np.random.default_rng(0)
    seeds = np.arange(worlds.num_envs)
    worlds.reset(seed=seeds.tolist())
    push = np.zeros((worlds.num_envs, len(worlds.action_names)))
    steps, took, done = np.zeros(worlds.num_envs, int), [], 0
    while done < episodes:
        command = worlds.expert()
        push = MEMORY * push + rng.normal(0, noise, command.shape)
        *_, info = worlds.step((command + push).clip(-1, 1).astype(np.float32))
        assert not any(info["error"]), info["error"]
        steps += 1
        ended = info["end"] != ""
        for world in np.flatnonzero(ended):
            if seeds[world] < episodes:
                done += 1
                took += [steps[world] / worlds.rate_hz] if info["end"][world] == "completed" else []
        if ended.any():
            seeds[ended] = seeds.max() + 1 + np.arange(ended.sum())
            steps[ended], push[ended] = 0, 0
            worlds.reset(seed=seeds.tolist(), options={"reset_mask": ended})
    worlds.close()
    return len(took), float(np.mean(took))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--tasks", nargs="*", default=list(get_args(Task)))
    parser.add_argument("--noise", type=float, nargs="*", default=[0.0, 0.04])
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    print("| task | noise | successes | mean length, s |\n|---|---|---|---|")
    for task in given.tasks:
        for noise in given.noise:
            well, seconds = successes(task, given.episodes, noise, given.processes)
            print(f"| {task} | {noise:g} | {well} of {given.episodes} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
