"""The gap as a policy has it: what it would do on either side, and on one side once that is redrawn.

    policy           W1(actions on A, actions on B), the mean over actions of the distance of their distributions
    policy_changed   mean |action on A redrawn - action on A|, what redrawing changes of the policy's own doing
    policy_error     mean |action - what was recorded| on A, where somebody demonstrated

with W1 the area between two distributions' quantiles, in units of the action. Generic distances of pictures need not
move with a policy's errors (Lambertenghi & Stocco 2024): this one is about nothing else.
"""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from .agent import Agent
from .data import Moments
from .halves import Halves
from .progress import track
from .readings import BOUNDS, Reading, closed, mean_of

CHUNK = 64  # moments at once
QUANTILES = (np.arange(200) + 0.5) / 200
Actions = NDArray[np.float64]  # (N, A), the first of each plan


def readings(
    agent: Agent, ours: Moments, theirs: Moments, redrawn: NDArray[np.uint8] | None, halves: Halves
) -> list[Reading]:
    """What the agent's policy says of A, of B, and of A redrawn; it must have been made for such moments."""
    a, b = (planned(agent, side, None) for side in (ours, theirs))
    c = None if redrawn is None else planned(agent, ours, redrawn)
    found = [_reading("policy_before", a, b, halves), _floor(b, halves)]
    if c is not None:
        after = _reading("policy", c, b, halves)
        found += [after, closed("policy_closed", found[0], after)]
        found.append(_mean("policy_changed", np.abs(c - a).mean(1), halves))
    if ours.actions is not None:
        truth = ours.actions[ours.rows]
        name = "policy_error" if c is None else "policy_error_before"
        found.append(_mean(name, np.abs(a - truth).mean(1), halves))
        if c is not None:
            found.append(_mean("policy_error", np.abs(c - truth).mean(1), halves))
    return found


def planned(agent: Agent, moments: Moments, redrawn: NDArray[np.uint8] | None) -> Actions:
    """The first action of each moment's plan, (N, A); of one that is ``redrawn`` where those are given."""
    found = []
    for start in track(range(0, len(moments), CHUNK), "what the policy would do", f"x{CHUNK} moments"):
        part = slice(start, start + CHUNK)
        batch = moments.take(part)
        images = batch.images if redrawn is None else torch.from_numpy(redrawn[part])
        found.append(agent.plan(images, batch.state, batch.points)[:, 0])
    return np.concatenate(found).astype(np.float64)


def wasserstein(a: Actions, b: Actions) -> float:
    """The mean over actions of the area between the quantiles of two sets, (N, A) and (M, A)."""
    return float(np.abs(np.quantile(a, QUANTILES, axis=0) - np.quantile(b, QUANTILES, axis=0)).mean())


def _reading(name: str, a: Actions, b: Actions, halves: Halves) -> Reading:
    drawn = halves.of_both(lambda i, j: wasserstein(a[i], b[j]))
    return Reading(name, 1, "lower", "of the action", BOUNDS, wasserstein(a, b), drawn)


def _floor(b: Actions, halves: Halves) -> Reading:
    drawn = halves.of_theirs(lambda j: wasserstein(b[j], b[~j]))
    return Reading("policy_floor", 1, "lower", "of the action", BOUNDS, float(drawn.mean()), drawn)


def _mean(name: str, each: NDArray[np.float64], halves: Halves) -> Reading:
    drawn = halves.of_ours(partial(mean_of, each))
    return Reading(name, 1, "lower", "of the action", BOUNDS, float(each.mean()), drawn)
