"""Whether a redrawn picture may stay: no more has changed than changes anyway in half a second of driving, and less
than lies between pictures that have nothing to do with one another."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from . import agreement
from .agent import Agent
from .agreement import Names
from .data import Moments
from .encoders import Encoder, Look, floats
from .errors import ConfigError, DataError
from .progress import say_once
from .validators import Validator

CHUNK = 16  # moments judged at once
APART_S = 0.5  # a redrawn picture may differ from its own as much as that differs from the one so much later
PAIRS = 200  # of such pictures that are looked at
LEVEL = 0.95  # share of them that differ less than what is allowed
Places = NDArray[np.int64]


class Judge(ABC):
    """The threshold, where none is told, is the 95th percentile of the change between unchanged pictures half a second
    apart."""

    version = "1"

    def __init__(self, name: str, most: float = 0.0) -> None:
        self.name = name
        self.most = most  # that may change
        self.told = most > 0  # rather than to be learned

    @abstractmethod
    def changes(self, moments: Moments, after: NDArray[np.uint8]) -> NDArray[np.float64]:
        """How much of each of B ``moments`` is another in the pictures ``after`` (B, V, 3, H, W): (B,)."""

    def lost(self, moments: Moments, after: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """(B,) whether too much of it is."""
        return self.changes(moments, after) > self.most

    def calibrate(self, moments: Moments) -> None:
        """Learn from unchanged moments how much may change, unless that was told; of slow recordings, from one moment
        to the next."""
        if not self.told:
            self.most = self._learned(moments, *_neighbours(moments))

    def _learned(self, moments: Moments, these: Places, later: Places) -> float:
        """How much may change, of ``moments`` and those half a second later."""
        return float(np.quantile(self._between(moments, these, later), LEVEL))

    def _between(self, moments: Moments, these: Places, others: Places) -> NDArray[np.float64]:
        """How much changes from each of ``these`` to the one of ``others`` beside it."""
        parts = [slice(start, start + CHUNK) for start in range(0, len(these), CHUNK)]
        found = [self.changes(moments.select(these[p]), moments.frames[moments.rows[others[p]]]) for p in parts]
        return np.concatenate(found)


def _neighbours(moments: Moments) -> tuple[Places, Places]:
    """Some moments, and those half a second later. Raises DataError where none follow one another."""
    rows, time_s, episode = moments.rows, moments.time_s[moments.rows], moments.episode[moments.rows]
    clock = time_s + episode * 1e7  # on which episodes never meet
    later = np.maximum(np.searchsorted(clock, clock + APART_S - 1e-6), np.arange(len(rows)) + 1)
    later = np.minimum(later, len(rows) - 1)
    unbroken = (rows[later] - rows == later - np.arange(len(rows))) & (rows[later] > rows)
    fits = np.flatnonzero(unbroken & (episode[later] == episode))
    if not len(fits):
        raise DataError(
            "A judge learns from moments that follow one another how much may change: none do. A validator is told "
            "by its setting most."
        )
    chosen = fits[np.unique(np.linspace(0, len(fits) - 1, PAIRS).astype(np.int64))]
    return chosen, later[chosen]


def _elsewhere(these: Places, count: int) -> Places:
    """For each of ``these`` another one of ``count`` moments, a quarter of them away at least."""
    away = np.random.default_rng(0).integers(max(1, count // 4), max(2, count - count // 4), size=len(these))
    return (these + away) % count


class Likeness(Judge):
    """By what a validator sees. It learns from pictures that have nothing to do with one another too: of these, no more
    than one in twenty would be taken for the same."""

    def __init__(self, validator: Validator, encoder: Encoder, most: float = 0.0):
        super().__init__(type(validator).__name__.lower(), most)
        self.validator, self.encoder, self.version = validator, encoder, f"{validator.version}, limit 2"

    def _learned(self, moments: Moments, these: Places, later: Places) -> float:
        near = self._between(moments, these, later)
        far = self._between(moments, these, _elsewhere(these, len(moments)))
        alike, other = float(np.quantile(near, LEVEL)), float(np.quantile(far, 1 - LEVEL))
        if (often := float(np.median(near))) > other:
            say_once(
                f"{self.name}: half a second changes pictures by {often:.3g} and more in half of all cases, as much as "
                f"others differ that have nothing to do with one another. What changes by more than {other:.3g} stays "
                "as it was; look at what passes, and say how much may change by the validator's setting most."
            )
        return min(alike, other)

    @torch.inference_mode()
    def changes(self, moments: Moments, after: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The mean over cameras."""
        before = moments.frames[moments.rows]
        old, new = (Look(self.encoder, floats(frames)) for frames in (before, after))
        found: NDArray[np.float64] = self.validator(old, new).view(before.shape[:2]).mean(1).double().numpy()
        return found


class Witness(Judge):
    """By what a trained policy would do: its own steering, at the same state, in units of the actions.

    Pictures are shown alone: a policy with a history takes each for all of it. Raises ConfigError for a policy that
    looks at none, DataError for one made for other moments.
    """

    def __init__(self, agent: Agent, names: Names):
        super().__init__("witness")
        if agent.policy.spatial:
            raise ConfigError("The witness is a policy for points: it sees nothing of what is redrawn.")
        self.agent, self.names = agent, names

    def calibrate(self, moments: Moments) -> None:
        alone = self.agent.policy.spec.frame._replace(horizon=moments.horizon)
        known = moments if moments.action_names else replace(moments, action_names=self.names.actions)
        agreement.refuse_other_policy(alone, self.names, replace(known, history=1))
        super().calibrate(moments)

    def changes(self, moments: Moments, after: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The mean over actions."""
        before, state = moments.frames[moments.rows], moments.state[moments.rows]
        old, new = (self._actions(frames, state) for frames in (before, after))
        found: NDArray[np.float64] = np.abs(new - old).mean(1)
        return found

    def _actions(self, frames: NDArray[np.uint8], state: NDArray[np.float32]) -> NDArray[np.float64]:
        """(B, A) what would be done first."""
        seen = self.agent.policy.spec.history
        images, felt = torch.from_numpy(np.ascontiguousarray(frames)), torch.from_numpy(state)
        return self.agent.plan(images.repeat(1, seen, 1, 1, 1), felt.repeat(1, seen))[:, 0].astype(np.float64)


def lost(judges: Sequence[Judge], moments: Moments, after: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(B, J) which of the ``judges`` say so."""
    return np.stack([judge.lost(moments, after) for judge in judges], 1)
