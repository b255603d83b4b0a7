"""Replaying and measuring with an agent and traces that can be followed by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from causeway import config, evaluate
from causeway.data import Moments
from causeway.errors import ConfigError
from causeway.evaluate import Evaluation, measure, replay
from causeway.metrics import Trace

MAE = {"mae": config.component("metric", "mae").build()}
SUCCESS = {"success": config.component("metric", "success").build()}


class Counting:
    """An agent that plans the state and commands how many commands it gave since its last reset.

    Its monitor intervenes in every second one.
    """

    remembers = False

    def __init__(self) -> None:
        self.resets: list[list[bool]] = []
        self.told: list[tuple[int, bool]] = []
        self.bridge = self

    def clip(self, seed: int) -> None:
        self.told.append((-1, True))

    def reset(self, fresh: np.ndarray) -> None:
        self.resets.append(fresh.tolist())
        self.looks, self.count = np.ones(len(fresh), bool), 0

    def act(self, images: np.ndarray, state: np.ndarray, points: np.ndarray | None = None) -> np.ndarray:
        self.points = points
        return self.command(self.plan(torch.from_numpy(images), torch.from_numpy(state)))

    def plan(
        self, images: torch.Tensor, state: torch.Tensor, points: torch.Tensor | None = None, following: bool = False
    ) -> np.ndarray:
        self.told.append((len(images), following))
        return np.concatenate([0 * state, state], 1)[:, None]

    def command(self, chunk: np.ndarray) -> np.ndarray:
        self.count += 1
        self.intervened = np.full(len(chunk), self.count % 2 == 0)
        return chunk[:, 0] + np.array([self.count, 0], np.float32)


def test_a_replay_begins_anew_after_every_break(moments: Callable[..., Moments]) -> None:
    recorded = moments(60).select(np.array([0, 1, 2, 5, 6, 18, 19, 20, 21]))  # episodes of 20
    agent = Counting()
    found = replay(agent, recorded, Evaluation(stretch_s=100.0))  # type: ignore[arg-type]
    assert np.concatenate([t.actions[:, 0] for t in found]).tolist() == [1, 2, 3, 1, 2, 1, 2, 1, 2]
    assert np.concatenate([t.signals["intervened"] for t in found]).tolist() == [0, 1, 0, 0, 1, 0, 1, 0, 1]
    assert [t.name for t in found] == ["0@0s", "1@0s"] and agent.resets == [[True]] * 4
    assert found[0].time_s is not None and found[0].time_s.tolist() == recorded.time_s[recorded.rows[:7]].tolist()
    assert np.array_equal(found[1].reference, recorded.actions[[20, 21]])  # type: ignore[arg-type,index]


def test_a_bridge_that_remembers_is_told_which_moments_follow(moments: Callable[..., Moments]) -> None:
    whole = replace(moments(150), episode=np.zeros(150, np.int64))
    recorded = whole.select(np.r_[10:90, 100:150])
    plain, remembering = Counting(), Counting()
    remembering.remembers = True
    for agent in (plain, remembering):
        replay(agent, recorded, Evaluation())  # type: ignore[arg-type]
    assert plain.told == [(64, False), (64, False), (2, False)]
    assert remembering.told == [(-1, True), (64, True), (16, True), (-1, True), (50, True)], "clip by clip"


def test_a_replay_in_parts_pairs_every_moment(moments: Callable[..., Moments]) -> None:
    recorded = moments(150).select(np.arange(10, 150))
    found = replay(Counting(), recorded, Evaluation())  # type: ignore[arg-type]
    assert np.concatenate([t.actions[:, 1] for t in found]).tolist() == recorded.state[10:, 0].tolist()


def test_a_replay_needs_somebody_to_compare_with(moments: Callable[..., Moments]) -> None:
    with pytest.raises(ConfigError, match="A recording without actions has nothing to compare"):
        replay(Counting(), moments(20).hidden(), Evaluation())  # type: ignore[arg-type]


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "RESAMPLES", 200)


def run_of(*errors: float, names: str = "abcdefgh") -> list[Trace]:
    truth = np.zeros((4, 1), np.float32)
    return [Trace(name, truth + error, truth) for name, error in zip(names, errors)]


def test_an_interval_is_over_episodes_and_over_runs() -> None:
    both = run_of(0, 0, 0, 0, 1, 1, 1, 1)
    found = measure([both], MAE)["mae"]
    assert found == (0.5, 0.125, 0.875), "a fortieth of eight coins show one head or none"
    assert measure([both, both], MAE)["mae"] == found, "runs that agree make nothing surer, nor less sure"
    half = 12.706 * 0.5  # Student's t of one degree of freedom, times the standard error
    wide = measure([run_of(*[0] * 8), run_of(*[1] * 8)], MAE)["mae"]
    assert wide == pytest.approx((0.5, 0.0, 0.5 + half)), "an error is never below 0"
    assert measure([run_of(*[1] * 6), run_of(*[1] * 6)], MAE)["mae"] == (1, 1, 1)
    mixed = [run_of(*np.linspace(0, 1, 8)), run_of(*[0.5] * 6)]
    assert measure(mixed, MAE)["mae"].value == pytest.approx(0.5), "runs of which episodes crashed are measured too"
    assert measure(mixed, MAE) == measure(mixed, MAE)


def test_fewer_than_six_scored_episodes_in_any_run_say_nothing_sure(few_resamples: None) -> None:
    crashed = Trace("x", np.zeros((4, 1), np.float32), error="gone")
    for runs in ([run_of(*[1] * 5)], [[*run_of(*[1] * 5), crashed]], [run_of(*[1] * 8), run_of(*[1] * 5)]):
        found = measure(runs, MAE)["mae"]
        assert found.value == 1 and np.isnan([found.low, found.high]).all()
    apart = evaluate.difference([run_of(*[3] * 8)], [run_of(*[1] * 8, names="abcdeXYZ")], MAE["mae"])
    assert apart is not None and apart.value == 2 and np.isnan([apart.low, apart.high]).all()


def test_beyond_ten_degrees_of_freedom_students_t_is_that_of_ten(few_resamples: None) -> None:
    runs = [run_of(*[k % 2] * 6) for k in range(20)]
    found = measure(runs, MAE)["mae"]
    assert found.high == pytest.approx(0.5 + 2.228 * np.std([0, 1] * 10, ddof=1) / np.sqrt(20))


def test_an_interval_leaves_out_a_fortieth_on_either_side() -> None:
    assert evaluate._percentiles(np.arange(1001) / 1000) == pytest.approx((0.025, 0.975))
    assert evaluate._percentiles(np.array([np.nan, 2.0, 2.0])) == (2.0, 2.0)
    assert np.isnan(evaluate._percentiles(np.array([np.nan]))).all()


def test_a_rate_is_never_surer_than_wilson_over_all_runs() -> None:
    runs = [[Trace(str(i), np.zeros((1, 1), np.float32), end="completed") for i in range(20)]] * 2
    assert measure(runs, SUCCESS)["success"] == pytest.approx((1.0, *evaluate.wilson(1.0, 40)))
    assert measure(runs, MAE) == {} == measure([run_of(1), runs[0]], MAE), "nothing recorded in one of the runs"


def test_a_difference_is_ours_minus_theirs_over_what_all_have(few_resamples: None) -> None:
    mae = MAE["mae"]
    assert evaluate.difference([run_of(*[3] * 8)], [run_of(*[1] * 8)], mae) == (2, 2, 2)
    ours = [run_of(*[3] * 7, 99), run_of(*[5] * 7)]  # the last episode of the second run crashed
    theirs = [run_of(*[1] * 8), run_of(*[2] * 8)]
    half = 12.706 * 0.5  # of the gaps 2 and 3
    assert evaluate.difference(ours, theirs, mae) == pytest.approx((2.5, 2.5 - half, 2.5 + half))
    assert evaluate.difference(theirs, ours, mae) == pytest.approx((-2.5, -2.5 - half, -2.5 + half))
    crossed = evaluate.difference(ours, theirs[::-1], mae)  # of the gaps 1 and 4: the k-th run is the k-th one's pair
    assert crossed == pytest.approx((2.5, 2.5 - 3 * half, 2.5 + 3 * half))


def test_what_is_the_same_for_both_says_nothing_of_their_difference(few_resamples: None) -> None:
    hard = np.arange(8)
    assert evaluate.difference([run_of(*hard + 1)], [run_of(*hard)], MAE["mae"]) == (1, 1, 1)


def test_what_has_no_partner_is_not_compared(few_resamples: None) -> None:
    mae, ours = MAE["mae"], [run_of(*[1] * 8)]
    longer = [Trace(t.name, np.ones((5, 1), np.float32), np.ones((5, 1), np.float32)) for t in ours[0]]
    assert evaluate.difference(ours, [run_of(*[1] * 8, names="ABCDEFGH")], mae) is None
    assert evaluate.difference(ours, [longer], mae) is None, "a stretch of the same name and another length"
    assert evaluate.difference([*ours, run_of(1, names="z")], [*ours, *ours], mae) is None, "no episode is in all runs"
    assert evaluate.difference([], ours, mae) is None is evaluate.difference([*ours, *ours], ours, mae)
    driven_only = [[Trace(name, np.zeros((1, 1), np.float32), end="stuck") for name in "ab"]]
    assert evaluate.difference(driven_only, driven_only, mae) is None


def test_all_of_a_trace_survives_the_disk_and_half_a_file_never_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions = np.array([[1.0], [2.0]], np.float32)
    signals = {"speed": actions[:, 0]}
    before = Trace("7@0s", actions, 2 * actions, np.array([0.5, 0.75]), "stuck", 0.25, signals, "gone")
    evaluate.save(tmp_path / "t.npz", [before])
    (after,) = evaluate.load(tmp_path / "t.npz")
    assert (after.name, after.end, after.completion, after.error) == ("7@0s", "stuck", 0.25, "gone")
    for one, other in ((after.reference, before.reference), (after.time_s, before.time_s)):
        assert one is not None and other is not None and one.tolist() == other.tolist()

    def broken(file: Any, **arrays: Any) -> None:
        file.write(b"half")
        raise RuntimeError("killed")

    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(RuntimeError, match="killed"):
        evaluate.save(tmp_path / "t.npz", [])
    assert evaluate.load(tmp_path / "t.npz")[0].name == "7@0s"


@pytest.mark.parametrize("setting", ["episodes", "worlds", "stretch_s"])
def test_an_evaluation_of_nothing_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="must be above 0"):
        Evaluation(**{setting: 0})
