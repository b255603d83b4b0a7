"""Intervals, paired differences, replay and drive."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from causeway import config, evaluate
from causeway.agent import Agent
from causeway.data import Moments, Spec
from causeway.evaluate import Evaluation
from causeway.metrics import Trace, correlation, mae, r2, success


def agent(spec: Spec) -> Agent:
    parts = [config.component(kind, name).build() for kind, name in (("bridge", "identity"), ("action", "direct"))]
    policy = config.component("policy", "cnn").build(spec)
    return Agent(policy, *parts, config.component("monitor", "none").build())


def traces(count: int, seed: int = 0, better: float = 0.0) -> list[Trace]:
    rng = np.random.default_rng(0)
    chance = np.random.default_rng(seed)
    found = []
    for i in range(count):
        truth = rng.normal(size=(30, 1)).astype(np.float32)
        noise = chance.normal(size=(30, 1)).astype(np.float32)
        end = "completed" if chance.random() < 0.5 + better else "off_road"
        found.append(Trace(str(i), truth + (1 - better) * noise, truth, np.arange(30.0), end, 0.5))
    return found


def test_hand_worked_numbers() -> None:
    guess, truth = np.array([[0.0], [1.0], [2.0]], np.float32), np.array([[1.0], [1.0], [4.0]], np.float32)
    trace = [Trace("a", guess, truth)]
    assert mae.Config().build().measure(trace) == pytest.approx(1.0)
    assert r2.Config().build().measure(trace) == pytest.approx(1 - 5 / 6)
    assert correlation.Config().build().measure(trace) == pytest.approx(3 / np.sqrt(2 * 6))
    flat = [Trace("a", np.zeros_like(truth), truth)]
    assert correlation.Config().build().measure(flat) == 0.0


def test_wilson_by_hand() -> None:
    assert evaluate.wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert evaluate.wilson(1.0, 20) == pytest.approx((0.8389, 1.0), abs=1e-4)
    assert evaluate.wilson(0.0, 20)[0] == 0.0


def test_the_bootstrap_holds_the_mean_about_as_often_as_it_says() -> None:
    metric, hits = {"success": success.Config().build()}, 0
    for seed in range(40):
        measured = evaluate.measure([traces(60, seed=seed + 1)], metric)["success"]
        hits += measured.low <= 0.5 <= measured.high
    assert hits >= 35


def test_a_paired_difference_is_narrower_than_two_intervals_apart() -> None:
    metric = correlation.Config().build()
    ours, theirs = [traces(40, 5, better=0.3)], [traces(40, 5)]
    found = evaluate.difference(ours, theirs, metric)
    one = evaluate.measure(ours, {"r": metric})["r"]
    other = evaluate.measure(theirs, {"r": metric})["r"]
    assert found is not None and found.low > 0 and found.value == pytest.approx(one.value - other.value)
    assert found.high - found.low < (one.high - one.low) + (other.high - other.low)


def test_three_runs_that_differ_by_luck_are_rarely_called_different(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two equal arms whose trainings differ: an interval of 95 % may leave 0 out about once in twenty."""
    monkeypatch.setattr(evaluate, "RESAMPLES", 100)
    metric, called = success.Config().build(), 0
    for study in range(60):
        luck = np.random.default_rng(study).normal(0, 0.15, 6)
        runs = [traces(60, seed=100 * study + k + 1, better=float(luck[k])) for k in range(6)]
        found = evaluate.difference(runs[:3], runs[3:], metric)
        assert found is not None
        called += not found.low <= 0 <= found.high
    assert called <= 7


def test_the_interval_over_runs_is_students_when_that_is_wider() -> None:
    metric = {"success": success.Config().build()}
    runs = [
        [Trace(str(i), np.zeros((1, 1), np.float32), end="completed" if i < good else "stuck") for i in range(10)]
        for good in (2, 5, 8)
    ]
    half = 4.303 * 0.3 / np.sqrt(3)  # t of two degrees of freedom, and the deviation of .2 .5 .8
    assert evaluate.measure(runs, metric)["success"] == pytest.approx((0.5, max(0, 0.5 - half), min(1, 0.5 + half)))
    assert stats.t.ppf(0.975, np.arange(1, 11)) == pytest.approx(evaluate.STUDENT, abs=1e-3)


def test_a_handful_of_episodes_has_no_interval() -> None:
    found = evaluate.measure([traces(5)], {"r": correlation.Config().build()})["r"]
    assert np.isfinite(found.value) and np.isnan([found.low, found.high]).all()
    assert np.isfinite(evaluate.measure([traces(6)], {"r": correlation.Config().build()})["r"].low)


def test_episodes_are_paired_by_name_in_whatever_order_they_come() -> None:
    metric = mae.Config().build()
    errors = [Trace(str(i), np.full((3, 1), i, np.float32), np.zeros((3, 1), np.float32)) for i in range(8)]
    worse = [replace(trace, actions=trace.actions + 1) for trace in errors]
    found = evaluate.difference([worse], [errors[::-1]], metric)
    assert found == pytest.approx((1, 1, 1))


def test_a_crash_leaves_the_other_episodes_paired() -> None:
    metric = success.Config().build()
    ours, theirs = traces(40, 1, better=0.4), traces(40, 1)
    crashed = [*ours[:-1], replace(ours[-1], error="RuntimeError: gone")]
    found = evaluate.difference([crashed], [theirs], metric)
    assert found is not None and found.value == pytest.approx(metric.measure(ours[:-1]) - metric.measure(theirs[:-1]))


def test_other_episodes_are_not_paired() -> None:
    metric = success.Config().build()
    others = [replace(trace, name=f"other {trace.name}") for trace in traces(10)]
    assert evaluate.difference([traces(10)], [others], metric) is None
    same = evaluate.difference([traces(10)], [traces(10)], metric)
    assert same is not None and same == (0.0, 0.0, 0.0)


def test_a_crashed_episode_is_not_scored() -> None:
    crashed = [*traces(10), Trace("x", np.zeros((0, 1), np.float32), end="off_road", error="RuntimeError: gone")]
    metric = success.Config().build()
    assert evaluate.measure([crashed], {"s": metric})["s"].value == metric.measure(traces(10))


def test_traces_survive_the_disk(tmp_path: Path) -> None:
    felt = {"a": np.ones(2, np.float32)}
    before = [
        *traces(3),
        Trace("9", np.ones((2, 1), np.float32), end="stuck", signals=felt, names=("steering",), ends=("stuck",)),
    ]
    evaluate.save(tmp_path / "t.npz", before)
    after = evaluate.load(tmp_path / "t.npz")
    assert [t.name for t in after] == ["0", "1", "2", "9"] and after[3].signals["a"].tolist() == [1, 1]
    assert [(t.names, t.ends) for t in after] == [((), ())] * 3 + [(("steering",), ("stuck",))]
    assert np.array_equal(after[0].reference, before[0].reference) and after[3].reference is None  # type: ignore[arg-type]


def test_replay_cuts_stretches_and_pairs_each_moment(moments: Callable[..., Moments]) -> None:
    recorded = moments(60)  # three episodes of 2 s
    found = evaluate.replay(agent(recorded.spec), recorded, Evaluation(stretch_s=1.0))
    assert [t.name for t in found] == ["0@0s", "0@1s", "1@0s", "1@1s", "2@0s", "2@1s"]
    assert sum(len(t.actions) for t in found) == 60 and {t.names for t in found} == {recorded.action_names}
    assert np.array_equal(np.concatenate([t.reference for t in found]), recorded.actions)  # type: ignore[arg-type]
