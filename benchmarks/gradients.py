"""What differentiating the sweeps of transport changes: its gradient beside the one with the plan held.

    OMP_NUM_THREADS=1 python benchmarks/gradients.py

128 with 128 moments of 64 features and 2 actions in clusters, costs relative. A cell is the cosine between the two
gradients by the features, and the unrolled one's norm over the held one's; times are medians, on one thread and in
processor time.
"""

import math
import statistics
import time

import torch
from torch import Tensor

from causeway.alignments.transport import Config
from causeway.data import Joint

MOMENTS, FEATURES, SWEEPS, REPEATS = 128, 64, (10, 300), 5


def sides() -> tuple[Joint, Joint]:
    """Eight clusters of situations, of which the target shows six, moved by half their spread."""
    draw = torch.Generator().manual_seed(0)
    centres = torch.randn(8, FEATURES, generator=draw)
    deeds = torch.randn(8, 2, generator=draw)
    made = []
    for kinds, shift in ((8, 0.0), (6, 0.5)):
        kind = torch.arange(MOMENTS) % kinds
        z = centres[kind] + 0.3 * torch.randn(MOMENTS, FEATURES, generator=draw) + shift
        made.append(Joint(z.requires_grad_(), deeds[kind] + 0.3 * torch.randn(MOMENTS, 2, generator=draw)))
    return made[0], made[1]


def gradient(config: Config, source: Joint, target: Joint) -> tuple[Tensor, float]:
    """The gradient by all features, and the milliseconds of a forward and backward."""
    align, taken = config.build(FEATURES, 2), []
    for _ in range(REPEATS):
        began = time.process_time()
        found = torch.autograd.grad(align(source, target, 0.0), (source.features, target.features))
        taken.append(1e3 * (time.process_time() - began))
    return torch.cat(found).flatten(), statistics.median(taken)


def main() -> None:
    torch.set_num_threads(1)
    source, target = sides()
    print("| blur | reach | held, ms |", " | ".join(f"{n} sweeps, ms | cosine | size" for n in SWEEPS), "|")
    print("|---|---|---|" + "---|---|---|" * len(SWEEPS))
    for blur in (0.01, 0.05, 0.2, 1.0):
        for reach in (0.1, 1.0, 10.0, math.inf):
            held, held_ms = gradient(Config(blur=blur, reach=reach), source, target)
            cells = [f"{blur:g}", f"{reach:g}", f"{held_ms:.1f}"]
            for sweeps in SWEEPS:
                config = Config(blur=blur, reach=reach, gradient="unrolled", iterations=sweeps)
                other, ms = gradient(config, source, target)
                cosine = torch.cosine_similarity(held, other, dim=0)
                cells += [f"{ms:.0f}", f"{cosine:.4f}", f"{other.norm() / held.norm():.3f}"]
            print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
