"""Whether simulation ranks policies as reality does: by hand, by scipy, and as SIMPLER's authors found it."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from causeway import ranking
from causeway.errors import DataError


def test_mmrv_by_hand() -> None:
    real = np.array([0.9, 0.5, 0.1])
    assert ranking.mmrv(np.array([3.0, 2.0, 1.0]), real) == 0
    # the first two change places: each loses .4, the third loses nothing
    assert ranking.mmrv(np.array([2.0, 3.0, 1.0]), real) == pytest.approx((0.4 + 0.4 + 0) / 3)
    # all turned around: .8, .4, .8
    assert ranking.mmrv(np.array([1.0, 2.0, 3.0]), real) == pytest.approx((0.8 + 0.4 + 0.8) / 3)


def test_a_tie_is_an_order_of_its_own() -> None:
    # the one that is really better is not seen to be: a violation for it, and none for the other
    assert ranking.mmrv(np.array([1.0, 1.0, 0.0]), np.array([0.6, 0.2, 0.0])) == pytest.approx((0.4 + 0 + 0) / 3)


def test_correlations_are_scipys() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 5, 8).astype(float), rng.normal(size=8)
        assert ranking.pearson(a, b) == pytest.approx(stats.pearsonr(a, b)[0])
        assert ranking.spearman(a, b) == pytest.approx(stats.spearmanr(a, b)[0])
    assert np.isnan(ranking.pearson(np.ones(4), np.arange(4.0)))


def test_the_authors_own_numbers(data: Path) -> None:
    told = json.loads((data / "simplerenv_correlation" / "sim_real_perf.json").read_text())
    for task, expected in told["reference"].items():
        real = told["REAL_PERF"][task]
        simulated = np.array([told["SIMPLER_PERF"][task][policy] for policy in real])
        found = ranking.rank(task, simulated, np.array(list(real.values())))
        assert found.mmrv.value == pytest.approx(expected["MMRV"], abs=1e-4)
        assert found.pearson.value == pytest.approx(expected["pearson"], abs=1e-4)


def test_the_interval_narrows_with_policies_and_holds_the_number() -> None:
    rng = np.random.default_rng(1)
    real = rng.uniform(size=40)
    simulated = real + 0.3 * rng.normal(size=40)
    few, many = (ranking.rank("t", simulated[:n], real[:n]) for n in (6, 40))
    for found in (few, many):
        assert found.pearson.low <= found.pearson.value <= found.pearson.high
    assert many.pearson.high - many.pearson.low < few.pearson.high - few.pearson.low


def test_the_interval_of_a_correlation_is_no_narrower_than_fishers() -> None:
    """By hand: r = .8 of 7 is atanh(.8) +- 1.96 / 2 = 1.0986 +- .98, tanh of which is .118 and .969."""
    a = np.array([-1.0, 1.0, -1.0, 1.0, 0, 0, 0])
    b = 0.8 * a + 0.6 * np.array([1.0, 1.0, -1.0, -1.0, 0, 0, 0])
    found = ranking.rank("t", a, b)
    assert found.pearson.value == pytest.approx(0.8)
    assert found.pearson.low <= 0.1182 + 1e-4 and found.pearson.high >= 0.9691 - 1e-4
    rng, held = np.random.default_rng(3), 0
    for _ in range(60):  # of policies whose scores have r = .7; the bootstrap alone holds it in less than nine of ten
        one, other = rng.normal(size=(2, 6))
        drawn = ranking.rank("t", one, 0.7 * one + math.sqrt(1 - 0.49) * other).pearson
        held += drawn.low <= 0.7 <= drawn.high
    assert held >= 54


def test_one_order_on_both_sides_tells_nothing_of_other_policies() -> None:
    found = ranking.rank("t", np.arange(6.0), np.arange(6.0) ** 2)
    assert found.spearman.value == 1 and np.isnan([found.spearman.low, found.spearman.high]).all()
    assert found.mmrv.value == 0 and np.isnan(found.mmrv.low)
    assert found.pearson.low < found.pearson.value < found.pearson.high


def written(path: Path, *lines: tuple[object, ...]) -> Path:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(lines)
    return path


def test_a_table_of_scores_is_read_by_task(tmp_path: Path) -> None:
    rows = [("lift", "a", 0.1, 0.2), ("stack", "a", 0.5, 0.6), ("lift", "b", 0.3, 0.4)]
    found = ranking.read(written(tmp_path / "s.csv", ("task", "policy", "simulated", "real"), *rows))
    assert found["lift"][0].tolist() == [0.1, 0.3] and found["lift"][1].tolist() == [0.2, 0.4] and len(found) == 2


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([("task", "policy", "real")], "has no column simulated"),
        ([("task", "policy", "simulated", "real")], "holds no scores"),
        (
            [("task", "policy", "simulated", "real"), ("t", "a", "up", 1)],
            "line 2: simulated and real must be numbers",
        ),
        ([("task", "policy", "simulated", "real"), ("t", "a", "nan", 1)], "line 2"),
        ([("task", "policy", "simulated", "real"), ("t", "a", 1)], "line 2"),
        ([("task", "policy", "simulated", "real"), ("t", "a", 1, 1), ("t", "a", 2, 1)], "policy a has two scores"),
    ],
)
def test_a_wrong_table_is_refused(lines: list[tuple[object, ...]], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        ranking.read(written(tmp_path / "s.csv", *lines))


def test_no_file_and_too_few_policies(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        ranking.read(tmp_path / "none.csv")
    with pytest.raises(DataError, match="task t has 2 policies"):
        ranking.rank("t", np.ones(2), np.ones(2))


def test_few_policies_have_an_order_and_no_interval() -> None:
    few, more = (ranking.rank("t", np.arange(n) * 1.0, np.arange(n) ** 2.0) for n in (4, 5))
    assert few.pearson.value > 0.9 and np.isnan(few.pearson.low) and np.isfinite(more.pearson.low)
