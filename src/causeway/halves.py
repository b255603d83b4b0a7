"""Halves of two sets of moments, from which it is told how sure a number about the sets is.

Intervals are of half-sampling (McCarthy 1969): halves of every set are drawn by stretches of time, without replacement,
and the spread of a number over these halves about their own mean is that of the number on the whole, whatever its bias
at half the size. Drawing with replacement would put copies of a picture into a set, which a kernel takes for likeness.

A noise floor is B's distance from itself, split in two. Many distances are larger between smaller sets: so one part is
as large as A, as far as half of B reaches, and the floor is no lower than what chance makes of A's distance from B.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .data import Moments
from .progress import say_once

FEWEST = 4  # stretches of a set that halves are drawn of


class Halves:
    """The halves that all numbers about two sets are drawn on, the same ones whoever redraws."""

    def __init__(self, ours: Moments, theirs: Moments, stretch_s: float, count: int):
        self.count = count
        self.sets = [_stretches(moments, stretch_s) for moments in (ours, theirs)]
        for name, own in zip("AB", self.sets):
            if (found := int(own.max()) + 1) < FEWEST:
                say_once(
                    f"The pictures of {name} lie in {found} stretches of {stretch_s:g} s: without {FEWEST} there are "
                    "no intervals. Take more recordings, in a study shorter blocks (block_s), or a smaller "
                    "gap.stretch_s; of loose pictures say that they do not follow one another, by their dataset's "
                    f"rate_hz = 0.1 (for causeway gap {name.lower()}.dataset.rate_hz=0.1)."
                )
        self._drawn: list[tuple[NDArray[np.bool_], ...]] = []  # half of A, half of B, and what of B stands for A
        rng = np.random.default_rng(0)
        for _ in range(self.count):
            order = [rng.permutation(int(stretches.max()) + 1) for stretches in self.sets]
            halves = [_part(stretches, drawn) for stretches, drawn in zip(self.sets, order)]
            self._drawn.append((*halves, _part(self.sets[1], order[1], len(self.sets[0]))))

    def of_both(self, number: Callable[[NDArray[np.bool_], NDArray[np.bool_]], float]) -> NDArray[np.float64]:
        """(count,) a number on halves of both sets; nan where either has too few stretches to draw halves of."""
        return self._each(lambda half: number(half[0], half[1]), 0, 1)

    def of_ours(self, number: Callable[[NDArray[np.bool_]], float]) -> NDArray[np.float64]:
        """(count,) on halves of A."""
        return self._each(lambda half: number(half[0]), 0)

    def of_theirs(self, number: Callable[[NDArray[np.bool_]], float]) -> NDArray[np.float64]:
        """(count,) on what of B stands for A, the rest of it standing for B."""
        return self._each(lambda half: number(half[2]), 1)

    def _each(self, number: Callable[[tuple[NDArray[np.bool_], ...]], float], *needed: int) -> NDArray[np.float64]:
        if any(self.sets[side].max() + 1 < FEWEST for side in needed):
            return np.full(self.count, math.nan)
        return np.array([number(half) for half in self._drawn])


def _stretches(moments: Moments, stretch_s: float) -> NDArray[np.int64]:
    """(N,) the number of the stretch of time that each moment lies in."""
    part = np.floor(moments.time_s[moments.rows] / stretch_s).astype(np.int64)
    _, stretch = np.unique(np.stack([moments.episode[moments.rows], part], 1), axis=0, return_inverse=True)
    return stretch.reshape(-1)


def _part(stretches: NDArray[np.int64], order: NDArray[np.int64], most: float = math.inf) -> NDArray[np.bool_]:
    """(N,) the first half of the stretches in their ``order``, or as few of these as hold ``most`` moments.

    All of a set of too few stretches, which is then not asked for.
    """
    if len(order) < FEWEST:
        return np.ones(len(stretches), bool)
    held = np.cumsum(np.bincount(stretches)[order])
    count = min(len(order) // 2, int(np.searchsorted(held, most)) + 1)
    taken = np.zeros(len(order), bool)
    taken[order[:count]] = True
    return taken[stretches]
