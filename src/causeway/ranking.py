"""Whether simulation ranks policies as reality does: Pearson, Spearman and MMRV of their scores on both sides.

    MMRV = mean over policies i of max over j of |R_i - R_j| [ (S_i > S_j) != (R_i > R_j) ]

for scores S in simulation and R in reality (Li et al. 2024, SIMPLER): how much real score is lost, at worst, by
believing the simulated order of two policies. 0 is the same order; ties count as an order of their own.
"""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import DataError
from .evaluate import LEVEL, Measure, fisher

COLUMNS = ("task", "policy", "simulated", "real")
FEWEST = 3  # policies that have an order worth the name
ENOUGH = 5  # of which an interval can be drawn: with fewer, most draws repeat one or two
RESAMPLES = 2000
Scores = NDArray[np.float64]  # (P,), of policies


class Ranking(NamedTuple):
    """One task: how its policies are ranked on the one side and the other."""

    task: str
    policies: int
    pearson: Measure
    spearman: Measure
    mmrv: Measure


def rank(task: str, simulated: Scores, real: Scores) -> Ranking:
    """The agreement of two scores of the same policies, with bootstrap intervals over the policies.

    Draws in which a side does not vary have no correlation and are left out. Where all draws say the same, as of a few
    policies in one order on both sides, they tell nothing of others: there is no interval. That of a correlation is the
    hull with Fisher's: few draws of few policies lie too near together.
    """
    if len(simulated) < FEWEST:
        raise DataError(f"task {task} has {len(simulated)} policies: an order needs {FEWEST} at least.")
    rng = np.random.default_rng(0)
    drawn = [rng.integers(len(real), size=len(real)) for _ in range(RESAMPLES)]
    found = []
    for number in (pearson, spearman, mmrv):
        again = np.array([number(simulated[chosen], real[chosen]) for chosen in drawn])
        known = again[np.isfinite(again)]
        sure = len(real) >= ENOUGH and len(known) and np.ptp(known) > 1e-12
        low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if sure else (math.nan, math.nan)
        value = number(simulated, real)
        if sure and number is not mmrv:
            below, above = fisher(value, len(real))
            low, high = min(low, below), max(high, above)
        found.append(Measure(value, float(low), float(high)))
    return Ranking(task, len(real), *found)


def pearson(simulated: Scores, real: Scores) -> float:
    """The correlation of the scores; nan where a side does not vary."""
    a, b = simulated - simulated.mean(), real - real.mean()
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / spread if spread > 1e-12 else math.nan


def spearman(simulated: Scores, real: Scores) -> float:
    """The correlation of the places in either order, those of ties averaged."""
    return pearson(_places(simulated), _places(real))


def mmrv(simulated: Scores, real: Scores) -> float:
    """The mean maximum rank violation, in units of the real score."""
    against = (simulated[:, None] > simulated) != (real[:, None] > real)
    return float((np.abs(real[:, None] - real) * against).max(1).mean())


def _places(scores: Scores) -> Scores:
    below, same = (scores[:, None] > scores).sum(1), (scores[:, None] == scores).sum(1)
    places: Scores = below + (same - 1) / 2
    return places


def all_of(path: Path) -> list[Ranking]:
    """The rankings of every task in a CSV of task, policy, simulated, real. Raises DataError."""
    return [rank(task, *both) for task, both in read(path).items()]


def read(path: Path) -> Mapping[str, tuple[Scores, Scores]]:
    """Simulated and real scores by task, from a CSV of task, policy, simulated, real. Raises DataError."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:  # which spreadsheets begin with a mark
            table = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            lines = list(table)
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no CSV: {error}.") from None
    if missing:
        begins = ", ".join(table.fieldnames or ["nothing"])[:60]
        raise DataError(
            f"{path} has no column {' and no '.join(missing)}: its first line is '{begins}'. It must be a CSV of "
            f"{', '.join(COLUMNS)}, with commas, a line for each policy in each task."
        )
    if not lines:
        raise DataError(f"{path} holds no scores.")
    tasks: dict[str, dict[str, tuple[float, float]]] = {}
    for number, line in enumerate(lines, 2):
        try:
            scores = float(line["simulated"]), float(line["real"])
        except (TypeError, ValueError):
            scores = math.nan, math.nan
        if not all(map(math.isfinite, scores)):
            raise DataError(f"{path} line {number}: simulated and real must be numbers.")
        task = tasks.setdefault(line["task"], {})
        if line["policy"] in task:
            raise DataError(f"{path} line {number}: policy {line['policy']} has two scores in task {line['task']}.")
        task[line["policy"]] = scores
    columns = {name: np.array(list(scores.values())).T for name, scores in tasks.items()}
    return {name: (simulated, real) for name, (simulated, real) in columns.items()}
