"""The table of a study against hand-worked numbers, and the order in which its runs are done."""

import csv
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tomli_w

from causeway import (
    config,
    evaluate,
    parts,
    results,
    run,
    running,
)
from causeway.data import Spec
from causeway.errors import ConfigError, DataError, Interrupted, InUse
from causeway.evaluate import Measure
from causeway.links import Planned
from causeway.metrics import Trace
from causeway.results import table, verdict, write_csv
from causeway.study import Study, carry_out, plan
from planning import EXPERIMENT, planned

METRICS = {name: config.component("metric", name).build() for name in ("mae", "success")}


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "RESAMPLES", 20)  # differences here are the same for every episode


def finished(
    arm: str, error: float, seed: int = 0, done: bool = True, crashed: int = 0, episodes: int = 8, **point: Any
) -> Planned:
    """A run whose episodes have mean absolute errors of ``error``, one more, and so on."""
    truth = np.zeros((2, 1), np.float32)
    traces = [Trace(str(i), truth + error + i, truth) for i in range(episodes)]
    traces += [Trace("x", truth, error="gone")] * crashed
    made = SimpleNamespace(
        tested=done, driven=done, measured=False, trained=True, traces=traces, experiment=SimpleNamespace(seed=seed)
    )
    return Planned(arm, tuple(point.items()), made)  # type: ignore[arg-type]


def rows(*runs: Planned, baseline: str = "base") -> dict[tuple[str, str], results.Row]:
    made = Study("t", "", (0,), baseline, runs, Path("x"))
    return {(row.arm, row.point): row for row in table(made, METRICS) if row.metric == "mae"}


def test_each_arm_stands_beside_the_baseline_minus_it() -> None:
    found = rows(finished("base", 1.0), finished("base", 2.0, 1), finished("ours", 0.5, crashed=1))
    base, ours = found["base", ""], found["ours", ""]
    assert base.measure.value == pytest.approx(5.0) and base.against is None and base.verdict == ""
    assert ours.measure.value == pytest.approx(4.0) and ours.against == pytest.approx((-0.5, -0.5, -0.5))
    assert ours.verdict == "better", "a smaller error"
    assert (base.seeds, base.episodes, base.failed) == (2, 16, 0)
    assert (ours.seeds, ours.episodes, ours.failed) == (1, 9, 1)


def test_runs_are_compared_with_the_baselines_of_their_own_seeds() -> None:
    base = [finished("base", error, seed) for seed, error in ((0, 10.0), (1, 20.0), (2, 30.0))]
    found = rows(*base, finished("ours", 31.0, 2), finished("ours", 21.0, 1))["ours", ""]
    assert found.against == pytest.approx((1.0, 1.0, 1.0)) and (found.seeds, found.verdict) == (2, "worse")
    found = rows(*base[1:], finished("ours", 11.0), finished("ours", 32.0, 2))["ours", ""]
    assert found.against == pytest.approx((2.0, 2.0, 2.0)), "seed 2 alone is in both"
    assert found.measure.value == pytest.approx(25.0) and found.seeds == 2, "what it scored is over all it has"
    alone = rows(*base[1:], finished("ours", 11.0))["ours", ""]
    assert alone.against is None and alone.verdict == ""


def test_too_few_episodes_in_common_are_too_few_to_tell() -> None:
    found = rows(finished("base", 1.0, episodes=5), finished("ours", 2.0, crashed=3))["ours", ""]
    assert found.against is not None and found.against.value == pytest.approx(1.0) and np.isnan(found.against.low)
    assert found.verdict == "too few to tell" and np.isfinite(found.measure.low)
    assert rows(finished("base", 1.0, episodes=6), finished("ours", 2.0))["ours", ""].verdict == "worse"


def test_what_each_seed_alone_scored_is_told() -> None:
    assert rows(*(finished("base", error, seed) for seed, error in ((0, 10.0), (1, 20.0))))["base", ""].by_seed == (
        pytest.approx(13.5),
        pytest.approx(23.5),
    )


def test_points_are_compared_at_the_same_point() -> None:
    both = [finished("base", 1.0, limit=0), finished("base", 2.0, limit=5)]
    found = rows(*both, finished("ours", 3.0, limit=5), finished("ours", 3.0, limit=9))
    assert found["ours", "limit=5"].against == pytest.approx((1.0, 1.0, 1.0))
    assert found["ours", "limit=5"].verdict == "worse"
    assert found["ours", "limit=9"].against is None
    alone = rows(both[0], finished("ours", 3.0, limit=5))
    assert alone["ours", "limit=5"].against == pytest.approx((2.0, 2.0, 2.0)), "a baseline of one point serves all"


def test_runs_that_are_not_tested_yet_are_not_in_the_table() -> None:
    assert set(rows(finished("base", 1.0), finished("ours", 1.0, done=False))) == {("base", "")}


@pytest.mark.parametrize(
    ("against", "direction", "said"),
    [
        ((0.5, 0.25, 0.75), "higher", "better"),
        ((0.5, 0.25, 0.75), "lower", "worse"),
        ((-0.5, -0.75, -0.25), "higher", "worse"),
        ((-0.5, -0.75, -0.25), "lower", "better"),
        ((0.5, 0.0, 1.0), "higher", "no difference shown"),
        ((0.5, -0.25, 1.25), "higher", "no difference shown"),
        ((0.5, np.nan, np.nan), "higher", "too few to tell"),
    ],
)
def test_a_verdict_needs_an_interval_without_zero(against: Any, direction: str, said: str) -> None:
    assert verdict(Measure(*against), direction) == said and verdict(None, direction) == ""


def test_results_are_written_in_full(tmp_path: Path) -> None:
    against = Measure(-1 / 3, -0.5, -0.25)
    about = "mae", 1, "lower", "m"
    base = results.Row("base", "", *about, 1, 8, 0, Measure(1.0, 0.5, 2.0), None, "", (1.0,))
    few = Measure(0.75, np.nan, np.nan)
    ours = results.Row("ours", "limit=5", *about, 2, 9, 1, few, against, "better", (0.5, 1.0))
    write_csv([base, ours], tmp_path / "r.csv")
    with open(tmp_path / "r.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert second == {
        **{"arm": "ours", "point": "limit=5", "metric": "mae", "version": "1", "direction": "lower", "unit": "m"},
        **{"seeds": "2", "episodes": "9", "failed": "1", "value": "0.75", "low": "nan", "high": "nan"},
        **{"difference": repr(-1 / 3), "difference_low": "-0.5", "difference_high": "-0.25", "verdict": "better"},
        "by_seed": "0.5 1.0",
    }
    assert first["difference"] == first["difference_low"] == first["verdict"] == "" and first["high"] == "2.0"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(EXPERIMENT)
    return tmp_path / "small.toml"


class Recorded(SimpleNamespace):
    def __len__(self) -> int:
        return 2


RECORDED = Recorded(action_names=("steering", "throttle"), state_names=("speed",))
SIDE = SimpleNamespace(
    spec=Spec(1, 32, 48, 1, 1, 2), unlabelled=RECORDED, labelled=[0], guessed=[]
)  # all that is asked
SIDES = SIDE, SIDE


class Steps:
    """What a study does, in the order it does it. Runs named in ``broken`` fail."""

    def __init__(self) -> None:
        self.looked: list[str] = []
        self.worked: list[str] = []
        self.broken: dict[str, BaseException] = {}

    def look(self, one: run.Run, decode: bool = True) -> tuple[Any, Any]:
        assert not decode and not self.worked, "a look at the data before anything starts, which decodes nothing"
        self.looked.append(one.folder.name)
        return SIDES

    def work(self, one: run.Run) -> None:
        self.worked.append(one.folder.name)
        one.folder.mkdir(parents=True, exist_ok=True)
        if one.folder.name in self.broken:
            raise self.broken[one.folder.name]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    made = Steps()
    monkeypatch.setattr(running, "domains", made.look)
    monkeypatch.setattr(running, "work", made.work)
    return made


def finish(one: run.Run) -> None:
    one.folder.mkdir(parents=True)
    for name in ("part.safetensors", "target.npz"):
        (one.folder / name).touch()
    (one.folder / "config.toml").write_text(tomli_w.dumps(one.tree))


def test_what_is_done_is_passed_over_and_starts_are_done_first(file: Path, steps: Steps) -> None:
    made = planned(file, "seeds=[0,1]")
    done = made.runs[3].run
    finish(done)
    assert carry_out(made) == []
    assert done.folder.name == "plain-s1" and sorted(steps.worked) == ["plain-s0", "tuned-s0", "tuned-s1"]
    assert steps.worked.index("plain-s0") < steps.worked.index("tuned-s0")
    other = tomllib.loads((done.folder / "config.toml").read_text()) | {"seed": 9}
    (done.folder / "config.toml").write_text(tomli_w.dumps(other))
    with pytest.raises(ConfigError, match=r"begun with other settings \(seed: 9 there, 1 now\)"):
        carry_out(made)


@pytest.mark.parametrize("order", ["abc", "cba", "bca", "acb"])
def test_a_chain_of_starts_is_done_from_its_end_whatever_the_order_of_the_file(
    order: str, file: Path, steps: Steps
) -> None:
    starts = {"a": "", "b": 'start = "a"', "c": 'start = "b"'}
    arms = "\n".join(f"[arms.{arm}]\n{starts[arm]}" for arm in order)
    file.write_text(EXPERIMENT.split("[arms")[0] + arms)
    made = planned(file, "seeds=[0,1]")
    carry_out(made)
    assert steps.worked == ["a-s0", "a-s1", "b-s0", "b-s1", "c-s0", "c-s1"]
    assert {p.run.folder.name: p.run.tree["start"] for p in made.runs}["c-s1"] == "{runs}/b-s1"


def test_a_study_may_lie_in_the_present_folder(file: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    made = plan(file, Path("."), (), file.parent)
    carry_out(made, arms=["tuned"])
    assert steps.worked == ["plain-s0", "tuned-s0"]


def test_chosen_arms_are_done_with_those_that_they_begin_from(file: Path, steps: Steps) -> None:
    file.write_text(EXPERIMENT + '[arms.far]\nstart = "tuned"\n[arms.other]\nhorizon = 2\n')
    made = planned(file)
    for arms, done in (
        (["tuned"], ["plain-s0", "tuned-s0"]),
        (["far"], ["plain-s0", "tuned-s0", "far-s0"]),
        (["other", "plain"], ["plain-s0", "other-s0"]),
    ):
        assert carry_out(made, arms=arms) == [] and steps.worked == done
        steps.worked.clear()
    with pytest.raises(ConfigError, match=r"There is no arm 'othr'. Did you mean 'other'\?"):
        carry_out(made, arms=["othr"])
    with pytest.raises(ConfigError, match="--jobs must be at least 1, not 0"):
        carry_out(made, jobs=0)
    assert not steps.worked


def test_the_data_of_every_arm_is_looked_at_before_anything_starts(file: Path, steps: Steps) -> None:
    file.write_text(EXPERIMENT + '[arms.far]\ntarget.dataset.root = "{data}/far"\n[arms.long]\nhorizon = 2\n')
    made = planned(file, "seeds=[0,1]")
    carry_out(made)
    assert len(steps.worked) == 8 and steps.looked == ["tuned-s0", "far-s0", "long-s0"], "the same data but once"


@pytest.mark.parametrize("kind", [ConfigError, DataError])
def test_wrong_data_of_any_arm_ends_a_study_before_it_starts(
    kind: type[Exception], file: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(EXPERIMENT + "[arms.far]\ntarget.limit = 5\n")

    def look(one: run.Run, decode: bool) -> tuple[None, Any]:
        if one.experiment.target.limit == 5:
            raise kind("no picture")
        return SIDES

    monkeypatch.setattr(running, "domains", look)
    made = planned(file)
    with pytest.raises(kind, match="arm 'far': no picture"):
        carry_out(made)
    assert not steps.worked
    finish(made.runs[2].run)
    assert made.runs[2].arm == "far" and carry_out(made) == [], "what is done needs its data no more"


def test_a_metric_of_an_action_that_is_not_there_ends_a_study_before_it_starts(file: Path, steps: Steps) -> None:
    carry_out(planned(file, "metrics.gas.name=mae", "metrics.gas.index=1"), arms=["tuned"])
    steps.worked.clear()
    with pytest.raises(ConfigError, match=r"\[metrics.gas\] index = 2: .* There are 0 steering, 1 throttle\."):
        carry_out(planned(file, "metrics.gas.name=mae", "metrics.gas.index=2", "seeds=[7]"))
    with pytest.raises(ConfigError, match=r"\[metrics.gas\] index = 'throtle': .* There are 0 steering, 1 throttle\."):
        carry_out(planned(file, "metrics.gas.name=mae", "metrics.gas.index=throtle", "seeds=[7]"))
    assert not steps.worked
    carry_out(planned(file, "metrics.gas.name=mae", "metrics.gas.index=throttle", "seeds=[7]"))
    assert steps.worked


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("method.augment.mirror=['stering']", "augment.mirror: there is no state or action 'stering'"),
        ("method.pairs.file=nowhere.parquet", "There is no file of pairs nowhere.parquet"),
        ("method.alignment={name='transport', plan='paired'}", "needs moments that go together: set pairs.file"),
        ("action.low=[0.0]", r"\[action\] low lists 1 numbers, and there are 2 actions: steering, throttle"),
        ("monitor={name='limits', high=[1.0, 2.0, 3.0]}", r"\[monitor\] high lists 3 numbers"),
        ("method.guess_share=0.5", "guess_share needs somebody to guess: set target.labeller"),
        ("method={name='ridge', guess_share=0.5}", "guess_share needs somebody to guess: set target.labeller"),
        ("method.policy={name='squeezenet', weights='nowhere.npz'}", "nowhere.npz"),
        ("train.accelerator=gpuu", r"\[train\] accelerator = 'gpuu' cannot be used"),
        ("method={name='ridge', mirror=['stering']}", "augment.mirror: there is no state or action 'stering'"),
    ],
)
def test_what_a_method_would_refuse_ends_a_study_before_it_starts(
    change: str, sentence: str, file: Path, steps: Steps
) -> None:
    file.write_text(EXPERIMENT + "[arms.far]\n")
    with pytest.raises(ConfigError, match=f"arm 'far': .*{sentence}"):
        carry_out(planned(file, f"arms.far.{change}"))
    assert not steps.worked


def test_what_is_solved_at_once_begins_from_nothing_and_that_is_said_before(file: Path, steps: Steps) -> None:
    ridge = "arms.tuned.method={name='ridge', policy={name='squeezenet', layer=2, rows=1, columns=1}}"
    with pytest.raises(ConfigError, match="arm 'tuned': method 'ridge' is solved at once and cannot start"):
        carry_out(planned(file, ridge))
    assert not steps.worked


def test_what_an_arm_begins_from_is_of_its_own_shapes(
    file: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(one: run.Run, decode: bool) -> tuple[Any, Any]:
        history = one.experiment.history
        spec = SIDE.spec._replace(cameras=history, history=history)
        return SIDE, SimpleNamespace(**{**vars(SIDE), "spec": spec})

    monkeypatch.setattr(running, "domains", look)
    with pytest.raises(ConfigError, match=r"arm 'tuned': start: the part of .*plain-s0 does not fit.*size mismatch"):
        carry_out(planned(file, "arms.plain.history=3"))
    assert not steps.worked
    carry_out(planned(file, "history=3"))
    assert steps.worked


NARROW = "method.policy={name='cnn', bottleneck=8}"
DRAWN = "method={name='translation', bridge={name='student', fold=%d}}"


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ((), NARROW, "size mismatch"),
        ((DRAWN % 4,), DRAWN % 2, "size mismatch"),
        ((NARROW,), NARROW, ""),
        ((DRAWN % 2,), DRAWN % 2, ""),
    ],
)
def test_what_an_arm_cannot_begin_from_ends_a_study_before_it_starts(
    before: tuple[str, ...], after: str, sentence: str, file: Path, steps: Steps
) -> None:
    """Before the arm that it begins from is learned; and from a finished run as well."""
    earlier = [f"arms.plain.{change}" for change in before]
    made = planned(file, *earlier, f"arms.tuned.{after}")
    plain = next(p.run for p in made.runs if p.arm == "plain")
    folder = file.parent / "elsewhere"
    folder.mkdir()
    (folder / "config.toml").write_text(tomli_w.dumps(plain.tree))
    recorded = SimpleNamespace(
        **vars(RECORDED), cameras=("front",), rows=np.arange(2), episode=np.zeros(2), time_s=np.arange(2)
    )
    left: Any = SimpleNamespace(spec=SIDE.spec, unlabelled=recorded)
    parts.save(folder, plain.experiment.method.part_for(SIDE.spec), left)
    outside = planned(file, *earlier, f"arms.tuned.{after}", f"arms.tuned.start={folder}")
    for study, start in (made, "plain-s0"), (outside, "elsewhere"):
        if not sentence:
            assert carry_out(study, arms=["tuned"]) == [] and steps.worked.pop() == "tuned-s0"
            steps.worked.clear()
            continue
        with pytest.raises(ConfigError, match=f"arm 'tuned': start: the part of .*{start} does not fit.*({sentence})"):
            carry_out(study, arms=["tuned"])
        assert not steps.worked


def test_two_processes_do_not_carry_out_one_study(file: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    made = planned(file)
    monkeypatch.setattr(running, "work", lambda one: carry_out(made))
    with pytest.raises(InUse, match="s is in use by another causeway process"):
        carry_out(made)


def test_a_study_goes_on_after_a_run_that_fails(file: Path, steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    steps.broken = {"plain-s1": DataError("no picture"), "tuned-s0": FloatingPointError("step 3: loss is nan")}
    made = planned(file, "seeds=[0,1]")
    assert sorted(carry_out(made)) == ["plain-s1", "tuned-s0"]
    assert sorted(steps.worked) == ["plain-s0", "plain-s1", "tuned-s0", "tuned-s1"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    said = "plain-s1 FAILED: DataError: no picture"
    assert sum(said in line for line in lines) == 1 and sum("FAILED" in line for line in lines) == 2
    errors = {p.run.folder.name: p.run.error for p in made.runs}
    assert errors["plain-s1"] == "DataError: no picture\n\nDataError: no picture", "a mistake is a sentence"
    first, *rest = errors["tuned-s0"].splitlines()
    assert first == "FloatingPointError: step 3: loss is nan" and rest[1] == "Traceback (most recent call last):"
    assert errors["plain-s0"] == errors["tuned-s1"] == ""


@pytest.mark.parametrize(
    "end", [Interrupted("Stopped at step 3 and saved."), InUse("s is in use"), KeyboardInterrupt()]
)
def test_what_is_no_failure_ends_a_study(end: BaseException, file: Path, steps: Steps) -> None:
    steps.broken = {"plain-s0": end}
    made = planned(file, "seeds=[0,1]")
    with pytest.raises(type(end)):
        carry_out(made)
    assert steps.worked == ["plain-s0"] and made.runs[1].run.error == "", "to be gone on with, no failure"
