"""Whether a redrawn picture may stay: no more has changed than changes anyway in half a second of driving."""

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
from .validators import Validator

CHUNK = 16  # moments judged at once
APART_S = 0.5  # a redrawn picture may differ from its own as much as that differs from the one so much later
PAIRS = 200  # of such pictures that are looked at
LEVEL = 0.95  # share of them that differ less than what is allowed


class Judge(ABC):
    """The threshold, where none is told, is the 95th percentile of the change between unchanged pictures half a second
    apart."""

    version = 1

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
        if self.told:
            return
        rows, time_s, episode = moments.rows, moments.time_s[moments.rows], moments.episode[moments.rows]
        clock = time_s + episode * 1e7  # on which episodes never meet
        later = np.maximum(np.searchsorted(clock, clock + APART_S - 1e-6), np.arange(len(rows)) + 1)
        later = np.minimum(later, len(rows) - 1)
        unbroken = (rows[later] - rows == later - np.arange(len(rows))) & (rows[later] > rows)
        fits = np.flatnonzero(unbroken & (episode[later] == episode))
        if not len(fits):
            raise DataError("A judge learns from moments that follow one another how much may change: none do.")
        chosen = fits[np.unique(np.linspace(0, len(fits) - 1, PAIRS).astype(np.int64))]
        parts = [chosen[start : start + CHUNK] for start in range(0, len(chosen), CHUNK)]
        found = [self.changes(moments.select(part), moments.frames[rows[later[part]]]) for part in parts]
        self.most = float(np.quantile(np.concatenate(found), LEVEL))


class Likeness(Judge):
    """By what a validator sees."""

    def __init__(self, validator: Validator, encoder: Encoder, most: float = 0.0):
        super().__init__(type(validator).__name__.lower(), most)
        self.validator, self.encoder, self.version = validator, encoder, validator.version

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
