"""Collect, train two arms and drive them, from Python: what `causeway quickstart` does, in a few lines and seconds."""

from pathlib import Path

from causeway import collect, evaluate, run, running
from causeway.metrics import completion
from causeway.simulators.lanes import Config

SMALL = {"height": 32, "width": 48, "cars": 0, "oncoming": 0, "cones": 0, "limit_s": 6.0, "route_m": 20.0}


def main(folder: Path = Path("runs/example")) -> None:
    for preset, episodes in (("source", 4), ("target", 2)):
        collect.record(Config(preset=preset, **SMALL), folder / "data" / preset, episodes, seed=0, noise=0.1)
    arms = {}
    for name, alignment in (("cotraining", "none"), ("transport", "transport")):
        tree = {
            "method": {"name": "imitation", "batch": 32, "alignment": {"name": alignment}},
            "picture": {"height": 32, "width": 48},
            "train": {"steps": 20, "checks": 0, "accelerator": "cpu"},
            "evaluate": {"episodes": 4},
        }
        for side in ("source", "target"):
            world = {"name": "lanes", "preset": side, **SMALL}
            recorded = {"name": "lerobot", "root": "{data}/" + side}
            tree[side] = {"dataset": recorded, "simulator": world, "block_s": 1.0}
        arms[name] = run.build(tree, folder / name, data=folder / "data")
        running.work(arms[name])
    metric = completion.Config().build()
    print(evaluate.difference([arms["transport"].traces], [arms["cotraining"].traces], metric))


if __name__ == "__main__":
    main()
