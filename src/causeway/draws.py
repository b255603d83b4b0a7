"""Source and target moments that go together, drawn from a file of pairs (Cheng et al. 2025)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from .data import Domain, Moments
from .errors import ConfigError, DataError
from .pairs import COLUMNS


@dataclass(frozen=True)
class Pairing:
    """Source moments drawn to go with target moments, from a file of pairs."""

    file: str = ""  # what causeway pair wrote; without it, the moments of both sides are drawn apart
    share: float = 0.5  # of the imitated source moments, how many are drawn in pairs
    sharpness: float = 10.0  # raising it draws near episodes more and far ones less, s
    middle: float = 0.01  # raising it draws farther episodes too; at this distance one is half as likely as can be, c
    window: int = 10  # raising it draws source moments farther off the warping path, in steps
    batch: int = 128  # pairs that are aligned in a step, beside the moments that are imitated

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1 or self.sharpness < 0 or self.window < 0 or self.batch < 2:
            raise ConfigError("needs share between 0 and 1, sharpness and window of 0 or more, and batch of 2 or more.")


def shares(config: Pairing, distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """(target, source episodes) how likely a source episode is, given the target episode; none at no finite distance.

    Where no source episode of a row is at a finite distance, all are 0.
    """
    with np.errstate(invalid="ignore"):  # 0 times infinity, where nothing is sharp
        likely = -np.logaddexp(0, config.sharpness * (distance - config.middle))
    likely = np.where(np.isfinite(distance), likely, -np.inf)
    share = np.exp(likely - likely.max(1, keepdims=True, initial=-1e300))
    return np.asarray(share / share.sum(1, keepdims=True).clip(1e-300))


def breadth(share: NDArray[np.float64]) -> float:
    """From how many source episodes a target episode draws, by their (target, source) ``share``: the exponential of the
    entropy, on average. Rows of zeros do not count."""
    share = share[share.sum(1) > 0]
    return float(np.exp(-(share * np.log(share.clip(1e-300))).sum(1)).mean()) if len(share) else 0.0


class Paths(NamedTuple):
    """The warping paths of R pairs of episodes. ``low`` and ``high`` hold the target steps of all pairs in a row."""

    lengths: tuple[NDArray[np.int32], NDArray[np.int32]]  # (R,) of the source and of the target episodes
    place: NDArray[np.int64]  # (R,) where the first target step of a pair stands
    low: NDArray[np.int32]  # the first source step that goes with each target step
    high: NDArray[np.int32]  # the last one


def _paths(table: pa.Table) -> Paths:
    own, other = (table[key].combine_chunks() for key in ("source_step", "target_step"))
    offsets = own.offsets.to_numpy()
    own, other = own.flatten().to_numpy(), other.flatten().to_numpy()
    row = np.repeat(np.arange(len(table)), np.diff(offsets))
    begins = np.flatnonzero(np.diff(row, prepend=-1) | np.diff(other, prepend=-1))
    ends = np.append(begins[1:], len(row)) - 1
    last = offsets[1:] - 1
    place = np.searchsorted(row[begins], np.arange(len(table)))
    return Paths((own[last] + 1, other[last] + 1), place, own[begins], own[ends])


def together(config: Pairing, source: Domain, target: Domain) -> "Pairs":
    """The pairs that training may draw: of labelled moments, where nobody demonstrated in the target of any.

    Raises ConfigError where there is no file, or one made by actions that ``target.limit`` hides, and DataError where
    it is of other recordings.
    """
    theirs = target.labelled if len(target.labelled) else target.unlabelled.hidden()
    pairs = Pairs(config, source.labelled, theirs)
    known = set(pairs.by) & set(target.unlabelled.action_names)
    if known and len(target.labelled) < len(target.unlabelled):
        by = ", ".join(sorted(known))
        raise ConfigError(
            f"pairs.file was made by {by}, which target.limit hides. Pair by state, or set target.limit = 'all'."
        )
    return pairs


class Pairs:
    """Draws moments of both sides that go together: a target moment at random, a source episode with probability
    proportional to ``1 / (1 + exp(sharpness (distance - middle)))``, and of it the moment on the warping path, give or
    take ``window`` steps (Cheng et al. 2025). Raises DataError where the file is of other recordings.
    """

    def __init__(self, config: Pairing, source: Moments, target: Moments):
        self.window, self.source, self.target = config.window, source, target
        path = Path(config.file)
        if not path.is_file():
            raise ConfigError(f"There is no file of pairs {path}. Make it with: causeway pair SOURCE TARGET {path}")
        try:
            table = pq.read_table(path, columns=list(COLUMNS))
        except pa.ArrowInvalid:
            raise DataError(f"{path} is no file of pairs. Make one: causeway pair SOURCE TARGET NAME.parquet") from None
        self.by: list[str] = json.loads((table.schema.metadata or {}).get(b"pairs", b'{"by": []}'))["by"]
        self.paths = _paths(table)
        sides = zip(("source", "target"), self.paths.lengths, (source, target))
        self.rows = self._known(*(_numbers(path, table[key].to_pylist(), n, side) for key, n, side in sides))
        for episode in np.unique(target.episode[target.rows]):
            if not (self.rows[episode] >= 0).any():
                lacking = target.episode_names[episode]
                raise DataError(f"{path} has no pair for episode {lacking} of the target that training may use.")
        self.shares = shares(config, np.where(self.rows >= 0, table["distance"].to_numpy()[self.rows], np.inf))
        self.up_to = self.shares.cumsum(1)
        self.length = np.bincount(source.episode, minlength=len(source.episode_names))
        self.first = [np.searchsorted(side.episode, np.arange(len(side.episode_names))) for side in (source, target)]

    def _known(self, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """(target episodes, source episodes) the row of the file, -1 where there is none that training may use."""
        rows = np.full((len(self.target.episode_names), len(self.source.episode_names)), -1)
        trained = np.isin(np.arange(rows.shape[1]), self.source.episode[self.source.rows])
        usable = (sources >= 0) & (targets >= 0) & trained[sources]
        rows[targets[usable], sources[usable]] = np.flatnonzero(usable)
        return rows

    def draw(self, rng: np.random.Generator, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which of the source's moments go with which of the target's: two times ``count`` places in either set."""
        theirs = rng.integers(len(self.target), size=count)
        frame = self.target.rows[theirs]
        episode = self.target.episode[frame]
        ours = (self.up_to[episode] <= rng.random(count)[:, None]).sum(1).clip(max=self.up_to.shape[1] - 1)
        at = self.paths.place[self.rows[episode, ours]] + frame - self.first[1][episode]
        step = rng.integers(self.paths.low[at], self.paths.high[at] + 1)
        step += rng.integers(-self.window, self.window + 1, size=count)
        step = step.clip(0, self.length[ours] - 1)
        return self._nearest(self.first[0][ours] + step, ours), theirs

    def _nearest(self, frame: NDArray[np.int64], episode: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places of the source's moments nearest to ``frame`` in the same ``episode``: others may be held back."""
        rows = self.source.rows
        after = np.searchsorted(rows, frame).clip(max=len(rows) - 1)
        before = (after - 1).clip(min=0)
        gaps = [
            np.where(self.source.episode[rows[place]] == episode, np.abs(rows[place] - frame), np.inf)
            for place in (before, after)
        ]
        return np.where(gaps[0] < gaps[1], before, after)


def _numbers(path: Path, names: list[str], lengths: NDArray[np.int32], side: Moments) -> NDArray[np.int64]:
    """The numbers of the named episodes among those of ``side``, -1 for others."""
    known = {name: number for number, name in enumerate(side.episode_names)}
    found = np.array([known.get(name, -1) for name in names])
    counts = np.bincount(side.episode, minlength=len(known))
    wrong = np.flatnonzero((found >= 0) & (counts[found] != lengths))
    if len(wrong) or (found < 0).all():
        what = (
            f"episode {names[wrong[0]]} has {lengths[wrong[0]]} moments there"
            if len(wrong)
            else "no episode is known here"
        )
        raise DataError(f"{path} is of other recordings: {what}. Make it anew with causeway pair.")
    return found
