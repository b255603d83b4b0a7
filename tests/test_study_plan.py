"""An experiment file laid out as runs: in what order, from what they begin, and what a study cannot be."""

from pathlib import Path

import pytest

from causeway.errors import ConfigError
from causeway.study import Study
from planning import EXPERIMENT, planned


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(EXPERIMENT)
    return tmp_path / "small.toml"


def names(made: Study) -> list[str]:
    return [p.run.folder.name for p in made.runs]


def test_what_a_file_leaves_out(file: Path) -> None:
    made = planned(file)
    assert (made.title, made.seeds, made.baseline) == ("small", (0,), "tuned")
    file.write_text(EXPERIMENT.split("[arms")[0])
    assert names(planned(file)) == ["all-s0"]


def test_runs_stand_seed_by_seed_in_the_order_of_the_file(file: Path) -> None:
    made = planned(file, "seeds=[1,0]")
    assert names(made) == ["tuned-s0", "plain-s0", "tuned-s1", "plain-s1"]
    assert [p.run.experiment.seed for p in made.runs] == [0, 0, 1, 1]
    assert made.runs[0].run.cache == file.parent / "cache" == made.runs[1].run.cache
    assert made.runs[2].run.tree["start"] == "{runs}/plain-s1", "of its own seed, and no machine's path"


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


def test_what_the_page_speaks_of_first_and_the_usual_metrics_may_be_set(file: Path) -> None:
    made = planned(file, "metrics.mae.index=throttle", "headline=mae")
    assert made.headline == "mae" and made.metrics["mae"].index == "throttle"  # type: ignore[attr-defined]
    assert planned(file).headline == ""


def test_a_sweep_may_be_written_in_tables(file: Path) -> None:
    file.write_text(EXPERIMENT + "[sweep]\ntarget.limit = [0, 5]\n[sweep.method]\ntarget_weight = [0.25]\n")
    made = planned(file)
    assert names(made) == [f"{a}-limit={n}-target_weight=0.25-s0" for a in ("tuned", "plain") for n in (0, 5)]
    assert [p.run.experiment.target.limit for p in made.runs] == [0, 5, 0, 5]
    assert made.runs[1].point == (("target.limit", 5), ("method.target_weight", 0.25))
    assert made.runs[1].label == "limit=5 target_weight=0.25"


def test_an_arm_may_begin_from_a_run_outside_the_study(file: Path, tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    made = planned(file, f"arms.tuned.start={tmp_path / 'before'}")
    assert [p.run.experiment.start for p in made.runs] == [str(tmp_path / "before"), ""]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["seeds=3"], r"seeds must be a list of whole numbers, such as \[0, 1, 2\], not 3"),
        (["seeds=[]"], r"seeds must be a list of whole numbers, .* not \[\]"),
        (["seeds=[0, 1.5]"], r"seeds must be a list of whole numbers, .* not \[0, 1.5\]"),
        (["seeds=[true]"], r"seeds must be a list of whole numbers, .* not \[True\]"),
        (["seeds=[-1]"], r"seeds must be a list of whole numbers, .* not \[-1\]"),
        (["seeds=[2, 1, 2]"], r"seeds names one twice: \[2, 1, 2\]"),
        (["seed=2"], r"A study has seeds, .*: write seeds = \[0, 1, 2\] instead of seed"),
        (["sweep.target.limit=20"], r"sweep: 'target.limit' needs a list of values, .* not 20"),
        (["sweep.target.limit=[]"], r"sweep: 'target.limit' needs a list of values, .* not \[\]"),
        (["arms.plain.sweep.target.limit=20"], r"sweep: 'target.limit' needs a list of values, .* not 20"),
        (["arms=3"], r"\[arms\] must be a table of arms, \[arms.NAME\], not 3"),
        (["title=3"], r"\[title\] must be a text, not 3"),
        (["baseline=['a']"], r"\[baseline\] must be the name of an arm"),
        (["metrics=3"], r"\[metrics\] must be a table of metrics"),
        (["metrics.mae.name=r2"], r"\[metrics.mae\] names a metric that is not r2"),
        (["metrics.mae=3"], r"\[metrics.mae\] needs a name: one of"),
        (["metrics.mae=r2"], r"\[metrics.mae\] names a metric that is not r2"),
        (["headline=sucess"], r"headline: there is no metric 'sucess'. Did you mean 'success'\?"),
        (["headline=3"], r"\[headline\] must be the name of a metric"),
        (["horizon=0"], r"^The experiment needs horizon of 1 or more"),
        (["arms.plain.horizon=0"], r"^arm 'plain': The experiment needs horizon of 1 or more"),
        (["sweep=3"], r"\[sweep\] must be a table of settings and their values"),
        (["arms.plain.sweep=3"], r"arm 'plain': seeds are the study's, and its sweep must be a table"),
        (["arms.plain.seed=5"], r"arm 'plain': seeds are the study's"),
        (["arms.plan.horizon=2"], r"small.toml has no arm 'plan'. Did you mean 'plain'\?"),
        (["sweep.seed=[1,2]"], r"sweep: write seeds = \[0, 1, 2\], outside of the sweep"),
        (["sweep.method.batch=[8,8]"], r"Two runs would share the folder .*batch=8-s0"),
        (["arms.plain=3"], r"\[arms\] 'plain' must be a table of settings, \[arms.plain\], not 3"),
        (["arms.a/b.horizon=1"], "arm 'a/b' gives folders their names: use letters, digits"),
        (["arms.a b.horizon=1"], "arm 'a b' gives folders their names: use letters, digits"),
        (["arms.tuned.start=plane"], r"arm 'tuned': start: there is no arm or run 'plane'. Did you mean 'plain'\?"),
        (["arms.tuned.start=tuned"], r"arm 'tuned': start names the arm itself"),
        (["arms.plain.method={name='translation'}"], r"start = 'plain' leaves a bridge, and this arm learns a policy"),
        (["arms.plain.start=tuned"], r"The arms need one another in a circle, through (plain|tuned)-s0"),
        (["baseline=plan"], r"baseline: there is no arm 'plan'. Did you mean 'plain'\?"),
        (["trian.steps=5"], r"The experiment has no setting 'trian'. Did you mean 'train'\?"),
        (["arms.plain.seeds=[1]"], r"arm 'plain': The experiment has no setting 'seeds'"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_a_study_cannot_be(changes: list[str], sentence: str, file: Path) -> None:
    with pytest.raises(ConfigError, match=sentence):
        planned(file, *changes)


@pytest.mark.parametrize("length", [2, 3])
def test_a_circle_beside_other_arms_is_found(length: int, file: Path) -> None:
    ring = "abc"[:length]
    arms = "\n".join(f'[arms.{arm}]\nstart = "{ring[i - 1]}"' for i, arm in enumerate(ring))
    file.write_text(f'{EXPERIMENT}\n{arms}\n[arms.d]\nstart = "a"')
    with pytest.raises(ConfigError, match=r"The arms need one another in a circle, through [abcd]-s0"):
        planned(file)
