"""The feature clouds of both domains: where a policy puts what it sees, and whether a line can tell them apart."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from .agent import Agent
from .data import Domain, Moments

MOST = 300  # moments a domain
CHUNK = 64  # pictures looked at together


class Clouds(NamedTuple):
    """What a policy makes of the tune moments of both domains."""

    source: NDArray[Any]  # (N, 2) in the plane of the two first principal components of both
    target: NDArray[Any]
    told_apart: float  # share of moments whose domain a line in the full features gets right, on moments it never saw


def clouds(agent: Agent, source: Domain, target: Domain) -> Clouds:
    """The clouds of an agent; the target's pictures pass its bridge, the source's do not."""
    ours = _features(agent, source, bridged=False)
    theirs = _features(agent, target, bridged=True)
    flat = project(np.concatenate([ours, theirs]))
    return Clouds(flat[: len(ours)], flat[len(ours) :], probe(ours, theirs))


@torch.inference_mode()
def _features(agent: Agent, domain: Domain, bridged: bool) -> NDArray[np.float64]:
    """(N, D) features of up to MOST moments, evenly spread over the tune split."""
    moments = shown(domain)
    chosen = spread(len(moments), MOST)
    found = []
    for start in range(0, len(chosen), CHUNK):
        batch = moments.take(chosen[start : start + CHUNK])
        images = agent.bridge(batch.images) if bridged else batch.images
        found.append(agent.policy.encode(images, batch.state, batch.points).double().numpy())
    return np.concatenate(found)


def shown(domain: Domain) -> Moments:
    """The moments a page may show: those for tuning, or the training ones where none are kept for that."""
    return domain.tune if len(domain.tune) else domain.unlabelled


def spread(count: int, most: int) -> NDArray[np.int64]:
    """Up to ``most`` of ``count`` places, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(np.int64))


def project(features: NDArray[Any]) -> NDArray[Any]:
    """(N, D) -> (N, 2), the two first principal components of features scaled to one spread."""
    centred = _scaled(features, features)
    basis = np.linalg.svd(centred, full_matrices=False)[2][:2]
    flat = centred @ basis.T
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))


def probe(source: NDArray[Any], target: NDArray[Any], ridge: float = 1.0) -> float:
    """Share of moments a linear probe puts in the right domain, fitted on one half of the time and tried on the other.

    Ridge regression of -1 and +1, which is Fisher's discriminant, both ways round; the halves are first and second,
    since neighbours in time are nearly identical. 0.5 is chance, 1 a line that tells the domains apart.
    """
    halves = [(source[: len(source) // 2], target[: len(target) // 2])]
    halves.append((source[len(source) // 2 :], target[len(target) // 2 :]))
    rates = []
    for (a, b), (c, d) in (halves, halves[::-1]):
        fitted = np.concatenate([a, b])
        inputs = np.concatenate([_scaled(fitted, fitted), np.ones((len(fitted), 1))], 1)
        sides = np.concatenate([np.full(len(a), -1.0), np.full(len(b), 1.0)])
        weigh = np.concatenate([np.full(len(a), 0.5 / len(a)), np.full(len(b), 0.5 / len(b))]) * len(fitted)
        penalty = ridge * np.eye(inputs.shape[1])
        weights = np.linalg.solve(inputs.T @ (inputs * weigh[:, None]) + penalty, inputs.T @ (sides * weigh))
        guess = [np.concatenate([_scaled(x, fitted), np.ones((len(x), 1))], 1) @ weights for x in (c, d)]
        rates += [np.mean(guess[0] < 0), np.mean(guess[1] > 0)]
    return float(np.mean(rates))


def _scaled(features: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    spread = like.std(0)
    scaled: NDArray[Any] = (features - like.mean(0)) / np.where(spread > 1e-9, spread, 1.0)
    return scaled
