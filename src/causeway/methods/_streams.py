"""Where the parts of a batch of ``imitation`` come from, and in which shares."""

from typing import NamedTuple

import numpy as np

from ..data import Batch, Moments
from ..draws import Pairs
from ..errors import ConfigError
from ..features import Features


class Stream(NamedTuple):
    """Where a share of each batch comes from."""

    name: str  # "source", "paired source", "target" or "guessed" are imitated; others are only aligned
    moments: Moments
    features: Features | None
    size: int
    weight: float
    side: float  # 0 the source, 1 the target
    aligned: bool
    pairs: Pairs | None = None  # what draws its moments, together with those of its other half
    number: int = 0  # of its random draws: halves of pairs share it

    def draw(self, seed: tuple[int, ...], step: int) -> Batch:
        """Its share of the batch of a step, by seed, stream and step alone."""
        rng = np.random.default_rng((*seed, self.number, step))
        if self.pairs is None:
            chosen = rng.integers(len(self.moments), size=self.size)
        else:
            chosen = self.pairs.draw(rng, self.size)[int(self.side)]
        if self.features is None:
            return self.moments.take(chosen)
        copies = rng.integers(len(self.features.values), size=self.size)
        return self.features.take(self.moments, chosen, copies)


def shares(target_weight: float, guess_share: float, labelled: int, guessed: int) -> dict[str, float]:
    """The weights w_s, w_t and w_g, after leaving out what the target does not have."""
    if guess_share and not guessed:
        raise ConfigError("guess_share needs somebody to guess: set target.labeller.")
    guess = target_weight * (guess_share if labelled else float(guess_share > 0))
    target = target_weight - guess if labelled else 0.0
    if target_weight == 1 and not labelled and not guess:
        raise ConfigError("target_weight = 1 imitates the target alone, but target.limit leaves no labelled moment.")
    return {"source": 1 - target - guess, "target": target, "guessed": guess}


def suggested_weight(labelled: int, source: int) -> tuple[float, float]:
    """The interval of good target weights, (N / (N + M), sqrt(N / M)), for N target and M source moments.

    Lei et al. 2026 (arXiv 2604.13645); an optimum outside it is possible, so tune it where there is data to tune on.
    """
    return labelled / (labelled + source), min(1.0, (labelled / source) ** 0.5)
