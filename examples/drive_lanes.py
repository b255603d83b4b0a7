"""Let the expert drive four worlds of the simulator `lanes`, and look at what it saw."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from causeway.simulators.lanes import CLASSES, PRESETS, Config


def main(folder: Path = Path(".")) -> None:
    rainy = replace(PRESETS["target"].look, exposure=0.7, haze=0.03)
    worlds = Config(preset="target", look=rainy, cars=2, route_m=80.0).build(count=4, seed=0)
    worlds.reset(seed=[1, 2, 3, 4])  # the same four episodes whoever drives
    pictures, ended, steps = [], np.zeros(4, bool), 0
    while not ended.all():
        _, _, terminated, truncated, infos = worlds.step(worlds.expert())
        ended = terminated | truncated
        if (steps := steps + 1) % 20 == 0:
            pictures.append(worlds.render()[0])
    Image.fromarray(pictures[len(pictures) // 2]).save(folder / "lanes.png")
    segmentation = worlds.truth().segmentation
    for world in range(4):
        seen = [CLASSES[kind] for kind in np.unique(segmentation[world])]
        offset = infos["signal_lane_offset_m"][world]
        print(
            f"world {world}: {infos['end'][world]}, {offset:+.2f} m left of the lane's middle, sees {', '.join(seen)}"
        )


if __name__ == "__main__":
    main()
