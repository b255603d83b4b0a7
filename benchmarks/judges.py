"""What the limits that validators learn from a recording let pass: the share of 60 pictures that stay as they were.

    python benchmarks/judges.py --data ../shared/data

Of the recording's own pictures, noise, the mirrored picture and another one are other contents; half the light, and a
tint, are not. Validators see by SqueezeNet, at 128 x 72.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from causeway import config, domain
from causeway.cache import Crop
from causeway.judges import Likeness

PICTURE = domain.Picture(height=72, width=128)
PICTURES = 60
RECORDINGS: dict[str, tuple[dict[str, Any], Crop]] = {
    "a track, driven": ({"name": "donkey", "root": "donkey_real", "select": "t3"}, Crop(top=0.27)),
    "a 1:14 car, every fourth frame": ({"name": "images", "root": "autodrive/pairs_real_input"}, Crop()),
    "a mountain road, simulated": ({"name": "donkey", "root": "donkey_sim"}, Crop(top=0.27)),
}


def others(frames: np.ndarray) -> dict[str, np.ndarray]:
    """The same pictures (N, 1, 3, H, W) changed in ways that should stay as they were, and in ways that should pass."""
    warm = np.array([1.3, 1.0, 0.7])[:, None, None]
    return {
        "noise": np.random.default_rng(1).integers(0, 256, frames.shape).astype(np.uint8),
        "mirrored": frames[..., ::-1].copy(),
        "another": np.roll(frames, 23, 0),
        "half the light": frames // 2,
        "a tint": np.clip(frames * warm, 0, 255).astype(np.uint8),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    data: Path = parser.parse_args().data
    torch.set_num_threads(1)
    weights = data / ".." / "weights" / "squeezenet1_0" / "squeezenet1_0_imagenet.npz"
    encoder = config.component("encoder", {"name": "squeezenet", "weights": str(weights)}).build()
    print("| recording | validator | limit | noise | mirrored | another | half the light | a tint |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (tree, crop) in RECORDINGS.items():
        dataset = config.component("dataset", tree | {"root": str(data / tree["root"])}).build()
        with tempfile.TemporaryDirectory() as cache:
            moments = domain.read(name, dataset, crop, PICTURE, 1, Path(cache))
            part = moments.select(np.linspace(0, len(moments) - 1, PICTURES).astype(np.int64))
            for validator in ("edges", "structure", "perceptual"):
                judge = Likeness(config.component("validator", validator).build(), encoder)
                judge.calibrate(moments)
                stays = [judge.lost(part, after).mean() for after in others(part.frames[part.rows]).values()]
                cells = " | ".join(f"{share:.2f}" for share in stays)
                print(f"| {name} | {validator} | {judge.most:.3f} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
