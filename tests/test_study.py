"""The table of a study against hand-worked numbers, and the order in which its runs are done."""

import csv
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tomli_w

from causeway import config, evaluate, results, run, study
from causeway.errors import ConfigError, DataError
from causeway.evaluate import Measure
from causeway.metrics import Trace
from causeway.results import table, verdict, write_csv
from causeway.study import Planned, Study, carry_out, plan

METRICS = {name: config.component("metric", name).build() for name in ("mae", "success")}
EXPERIMENT = """
method = { name = "imitation" }
source = { dataset = { name = "lerobot", root = "{data}/a" } }
target = { dataset = { name = "lerobot", root = "{data}/b" } }
[arms.tuned]
start = "plain"
[arms.plain]
method.target_weight = 0.0
"""


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "RESAMPLES", 20)  # differences here are the same for every episode


def finished(
    arm: str, errors: list[float], seed: int = 0, done: bool = True, crashed: int = 0, **point: Any
) -> Planned:
    """A run whose episodes have these mean absolute errors."""
    truth = np.zeros((2, 1), np.float32)
    traces = [Trace(str(i), truth + error, truth) for i, error in enumerate(errors)]
    traces += [Trace("x", truth, error="gone")] * crashed
    made = SimpleNamespace(tested=done, trained=True, traces=traces)
    return Planned(arm, tuple(point.items()), made)  # type: ignore[arg-type]


def rows(*runs: Planned, baseline: str = "base") -> dict[tuple[str, str], results.Row]:
    made = Study("t", "", (0,), baseline, runs, Path("x"))
    return {(row.arm, row.point): row for row in table(made, METRICS) if row.metric == "mae"}


def test_each_arm_stands_beside_the_baseline_minus_it() -> None:
    found = rows(finished("base", [1.0, 2.0]), finished("base", [2.0, 3.0], 1), finished("ours", [0.5, 1.5], crashed=1))
    base, ours = found["base", ""], found["ours", ""]
    assert base.measure.value == pytest.approx(2.0) and base.against is None and base.verdict == ""
    assert ours.measure.value == pytest.approx(1.0) and ours.against == pytest.approx((-0.5, -0.5, -0.5))
    assert ours.verdict == "better", "a smaller error"
    assert (base.seeds, base.episodes, base.failed) == (2, 4, 0)
    assert (ours.seeds, ours.episodes, ours.failed) == (1, 3, 1)


def test_points_are_compared_at_the_same_point() -> None:
    both = [finished("base", [1.0], limit=0), finished("base", [2.0], limit=5)]
    found = rows(*both, finished("ours", [3.0], limit=5), finished("ours", [3.0], limit=9))
    assert found["ours", "limit=5"].against == pytest.approx((1.0, 1.0, 1.0))
    assert found["ours", "limit=5"].verdict == "worse"
    assert found["ours", "limit=9"].against is None
    alone = rows(both[0], finished("ours", [3.0], limit=5))
    assert alone["ours", "limit=5"].against == pytest.approx((2.0, 2.0, 2.0)), "a baseline of one point serves all"


def test_runs_that_are_not_tested_yet_are_not_in_the_table() -> None:
    assert set(rows(finished("base", [1.0]), finished("ours", [1.0], done=False))) == {("base", "")}


@pytest.mark.parametrize(
    ("against", "direction", "said"),
    [
        ((0.5, 0.25, 0.75), "higher", "better"),
        ((0.5, 0.25, 0.75), "lower", "worse"),
        ((-0.5, -0.75, -0.25), "higher", "worse"),
        ((-0.5, -0.75, -0.25), "lower", "better"),
        ((0.5, 0.0, 1.0), "higher", "no difference shown"),
        ((0.5, -0.25, 1.25), "higher", "no difference shown"),
    ],
)
def test_a_verdict_needs_an_interval_without_zero(against: Any, direction: str, said: str) -> None:
    assert verdict(Measure(*against), direction) == said


def test_results_are_written_in_full(tmp_path: Path) -> None:
    found = rows(finished("base", [1.0]), finished("ours", [0.75], crashed=1))
    write_csv([*found.values()], tmp_path / "r.csv")
    with open(tmp_path / "r.csv", newline="") as file:
        base, ours = csv.DictReader(file)
    assert ours | {"version": ""} == {
        **{"arm": "ours", "point": "", "metric": "mae", "version": "", "direction": "lower", "unit": "", "seeds": "1"},
        **{"episodes": "2", "failed": "1", "value": "0.75", "low": "0.75", "high": "0.75"},
        **{"difference": "-0.25", "difference_low": "-0.25", "difference_high": "-0.25", "verdict": "better"},
    }
    assert base["difference"] == ""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(EXPERIMENT)
    return tmp_path / "small.toml"


def planned(file: Path, *changes: str) -> Study:
    return plan(file, file.parent / "s", changes, file.parent, file.parent / "cache")


def names(made: Study) -> list[str]:
    return [p.run.folder.name for p in made.runs]


def test_what_a_file_leaves_out(file: Path) -> None:
    made = planned(file)
    assert (made.title, made.seeds, made.baseline) == ("small", (0,), "tuned")
    file.write_text(EXPERIMENT.split("[arms")[0])
    assert names(planned(file)) == ["all-s0"]


def test_who_others_begin_from_comes_first_then_seed_by_seed(file: Path) -> None:
    made = planned(file, "seeds=[1,0]")
    assert names(made) == ["plain-s0", "plain-s1", "tuned-s0", "tuned-s1"]
    assert [p.run.experiment.seed for p in made.runs] == [0, 1, 0, 1]
    assert made.runs[0].run.cache == file.parent / "cache" == made.runs[2].run.cache
    assert made.runs[2].run.tree["start"] == "{runs}/plain-s0", "no machine's path"


def test_a_swept_arm_begins_from_the_same_point(file: Path) -> None:
    file.write_text(EXPERIMENT + '[sweep]\n"target.limit" = [0, 5]\n')
    starts = {p.run.folder.name: p.run.tree["start"] for p in planned(file).runs if p.arm == "tuned"}
    limits = {p.run.folder.name: p.run.experiment.target.limit for p in planned(file).runs}
    assert limits == {f"{arm}-limit={limit}-s0": limit for arm in ("plain", "tuned") for limit in (0, 5)}
    assert starts == {"tuned-limit=0-s0": "{runs}/plain-limit=0-s0", "tuned-limit=5-s0": "{runs}/plain-limit=5-s0"}
    file.write_text(EXPERIMENT + 'sweep = {"target.limit" = [7]}\n[sweep]\n"target.limit" = [0, 5]\n')
    narrow = planned(file)
    assert {p.run.tree["start"] for p in narrow.runs if p.arm == "tuned"} == {"{runs}/plain-limit=7-s0"}
    file.write_text(
        EXPERIMENT.replace('"plain"', '"plain"\nsweep = {"target.limit" = [7]}') + '[sweep]\n"target.limit" = [0, 5]\n'
    )
    with pytest.raises(ConfigError, match="arm 'tuned': start = 'plain' is not one run but 2"):
        planned(file)


def test_what_is_done_is_passed_over_and_starts_are_done_first(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, worked = planned(file, "seeds=[0,1]"), []
    monkeypatch.setattr(run, "work", lambda one: worked.append(one.folder.name))
    done = made.runs[1].run
    done.folder.mkdir(parents=True)
    for name in ("part.safetensors", "target.npz"):
        (done.folder / name).touch()
    (done.folder / "config.toml").write_text(tomli_w.dumps(done.tree))
    turned = Study(made.title, "", made.seeds, made.baseline, made.runs[::-1], made.folder)
    carry_out(turned)
    assert done.folder.name == "plain-s1" and worked == ["plain-s0", "tuned-s1", "tuned-s0"]
    other = tomllib.loads((done.folder / "config.toml").read_text()) | {"seed": 9}
    (done.folder / "config.toml").write_text(tomli_w.dumps(other))
    with pytest.raises(ConfigError, match=r"begun with other settings \(seed: 9 there, 1 now\)"):
        carry_out(made)


def test_two_processes_do_not_carry_out_one_study(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = planned(file)

    def again(one: run.Run) -> None:
        carry_out(made)

    monkeypatch.setattr(run, "work", again)
    with pytest.raises(DataError, match="s is in use by another causeway process"):
        carry_out(made)


def test_a_worker_names_the_run_that_failed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(one: run.Run) -> None:
        raise DataError("no picture")

    monkeypatch.setattr(run, "work", work)
    with pytest.raises(ConfigError, match="plain-s0: no picture"):
        study._work(planned(file).runs[0].run)


def test_a_failing_worker_ends_the_study_and_cancels_what_waits(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled: list[bool] = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, jobs: int, *_: Any):
            super().__init__(jobs)

        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            cancelled.append(cancel_futures)
            super().shutdown(wait, cancel_futures=cancel_futures)

    def work(one: run.Run) -> None:
        raise DataError("no picture")

    monkeypatch.setattr(study, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(run, "work", work)
    with pytest.raises(ConfigError, match="plain-s0: no picture"):
        carry_out(planned(file), jobs=2)
    assert cancelled[0]
