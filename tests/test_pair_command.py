"""Pairs from the command line to the trained run, and what recordings may get in the way."""

import json
import math
import re
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from causeway import cli, config, film, finished, progress, run, running
from causeway.datasets import Episode
from causeway.draws import Pairing, breadth, shares
from causeway.errors import ConfigError, DataError
from causeway.recorder import Recorder, Recording
from recordings import views

ONE = Path(__file__).parent / "one.toml"
ARM = ["joint_0", "joint_1"]
ACTIONS = ("steering", "throttle")


def walks(*lengths: int, numbers: int = 2, scale: float = 1.0) -> list[np.ndarray]:
    return [scale * np.random.default_rng(i).normal(size=(n, numbers)).cumsum(0) for i, n in enumerate(lengths)]


def record(
    folder: Path, states: Sequence[np.ndarray], names: Sequence[str] = ARM, actions: tuple[str, ...] = ACTIONS
) -> Path:
    """A LeRobot dataset of the episodes e0, e1... with these states."""
    with Recorder(folder, Recording(("front",), 10, tuple(names), actions, "image")) as recorder:
        for number, state in enumerate(states):
            done = np.random.default_rng(number).uniform(-1, 1, (len(state), len(actions))).astype(np.float32)
            felt = state.astype(np.float32)
            episode = Episode(f"e{number}", np.arange(len(state)) / 10, felt, done if actions else None, "drive")
            recorder.add(episode, views(len(state), seed=number))
    return folder


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    return record(tmp_path / "data", walks(30, 25, 20)), record(tmp_path / "real", walks(24, 28, 26))


def test_pairs_overwrite_nothing_but_pairs(sides: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "arm.toml").write_text("mine")
    (tmp_path / "folder.parquet").mkdir()
    for name, other in (("arm.toml", "arm"), ("folder.parquet", "folder"), ("none", "none")):
        with pytest.raises(ConfigError, match=rf"written to a parquet file: name it, such as .*{other}\.parquet"):
            cli.pair(*sides, tmp_path / name)
    assert (tmp_path / "arm.toml").read_text() == "mine"
    assert not list(tmp_path.glob(".*")), "nothing is left behind"


def test_how_near_the_pairs_are_is_told(
    sides: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.pair(*sides, tmp_path / "pairs.parquet")
    told = capsys.readouterr().out
    distance = np.array(pq.read_table(tmp_path / "pairs.parquet")["distance"].to_pylist()).reshape(3, 3)
    near = distance.min(1)
    assert "pairs.parquet: 9 pairs.\n" in told
    assert f"distances: {np.median(distance):.3g} in the middle" in told
    assert f"{near.min():.3g} to {near.max():.3g}, {np.median(near):.3g} in the middle\n" in told
    wide = breadth(shares(Pairing(), distance))
    assert 1 < wide < 3 and f"draws from about {wide:.0f} of 3 source episodes" in told


def test_settings_of_either_side_choose_what_is_paired(sides: tuple[Path, Path], tmp_path: Path) -> None:
    file = tmp_path / "pairs.parquet"
    cli.pair(*sides, file, ["target.select=e1", "source.select=e2"], jobs=1)
    (row,) = pq.read_table(file).to_pylist()
    assert (row["source"], row["target"], row["source_step"][-1], row["target_step"][-1]) == ("e2", "e1", 19, 27)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("select=e1", r"'select=e1' is of neither side. Write it as source.key=value or target.key=value"),
        ("target.selct=e1", r"\[target\] has no setting 'selct'. Did you mean 'select'"),
        ("source.select=e9", r"No recording starts with 'e9'. Known: e0, e1, e2"),
    ],
)
def test_settings_of_no_side_are_refused(setting: str, sentence: str, sides: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=sentence):
        cli.pair(*sides, tmp_path / "pairs.parquet", [setting])


@pytest.mark.parametrize(
    ("states", "names", "actions", "by", "sentence"),
    [
        ([np.ones((9, 2)) * 3.0] * 2, ARM, ACTIONS, [], "joint_0, joint_1 never change in the source"),
        (
            walks(9, numbers=3),
            [*ARM, "joint_2"],
            ACTIONS,
            [],
            r"states differ: joint_0, joint_1, joint_2 in .*--by NAME",
        ),
        (walks(9), ["x", "y"], ("left",), [], "records x, y, left, .*records joint_0, .* and no name is in both"),
        (walks(9, numbers=0), [], (), [], "records nothing, .* and no name is in both"),
        (walks(99, scale=180), ARM, ACTIONS, [], "joint_0 spreads .* times more in the source: are its units the same"),
        (walks(9), ARM, (), ["steering"], "data has no state or action 'steering'"),
    ],
    ids=["constant", "dimensions", "strangers", "nothing", "units", "no actions"],
)
def test_what_cannot_be_compared_is_said(
    states: list[np.ndarray], names: list[str], actions: tuple[str, ...], by: list[str], sentence: str, tmp_path: Path
) -> None:
    sides = record(tmp_path / "data", states, names, actions), record(tmp_path / "real", walks(20, 20))
    with pytest.raises((ConfigError, DataError), match=sentence):
        cli.pair(*sides, tmp_path / "pairs.parquet", by=by)
    assert not (tmp_path / "pairs.parquet").exists()


def test_joints_that_are_no_numbers_are_said(sides: tuple[Path, Path], tmp_path: Path) -> None:
    (file,) = (sides[1] / "data").rglob("*.parquet")
    table, name = pq.read_table(file), "observation.state"
    column, felt = table.column_names.index(name), table[name].to_pylist()
    felt[26][1] = math.nan
    field = table.schema.field(column)
    pq.write_table(table.set_column(column, field, pa.array(felt, field.type)), file)
    sentence = r"real episode e1: joint_1 in observation.state is nan at frame 2. Run: causeway check"
    with pytest.raises(DataError, match=sentence):
        cli.pair(*sides, tmp_path / "pairs.parquet")
    with pytest.raises(DataError, match=sentence):
        cli.train(ONE, ["target.dataset.root={data}/real"], tmp_path, tmp_path / "run")


def trained(folder: Path, *overrides: str) -> list[dict[str, float]]:
    """The steps in the log of a run with transport from data to real."""
    aligned = "method.alignment={name='transport', relative=false}"
    cli.train(ONE, ["target.dataset.root={data}/real", aligned, *overrides], folder, folder / "run", folder / "cache")
    steps = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    return [step for step in steps if "loss" in step]


@pytest.mark.parametrize(("plan", "acted"), [("full", True), ("paired", False)], ids=["limit = 0", "no actions"])
def test_a_target_without_any_demonstration_is_paired_and_aligned(
    plan: str, acted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SAID", set())
    record(tmp_path / "data", walks(30, 25, 20))
    record(tmp_path / "real", walks(24, 28, 26), actions=ACTIONS if acted else ())
    cli.pair(tmp_path / "data", tmp_path / "real", tmp_path / "pairs.parquet")
    if acted:
        nobody = ["target.limit=0"]
    else:
        record(tmp_path / "test", walks(20))
        nobody = ["target.limit=all", "target.test_dataset={name='lerobot', root='{data}/test'}"]
    pairs = "method.pairs={file='{data}/pairs.parquet', batch=6}"
    steps = trained(tmp_path, pairs, f"method.alignment.plan={plan}", *nobody)
    terms = {name for name in steps[0] if "imitation" in name}
    assert terms == {"imitation/source", "imitation/paired source"} and len(steps) == 4
    assert re.search(
        r"By pairs.sharpness a target episode draws from about [123] of [23] source", capsys.readouterr().err
    )
    assert all(0 < step["transported_mass"] <= 1 and math.isfinite(step["alignment"]) for step in steps)


def test_domains_without_overlap_train_and_are_told_of(
    sides: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SAID", set())
    steps = trained(tmp_path, "method.alignment.feature_weight=1e5", "method.alignment.reach=0.01")
    assert [step["unmatched_source"] for step in steps] == pytest.approx([1.0] * 4)
    assert [step["alignment"] for step in steps] == pytest.approx([0.1 * (2 * 0.01 + 0.05)] * 4)
    assert capsys.readouterr().err.count("transport leaves all of a batch unmatched") == 1


def test_episodes_of_one_moment_are_paired_trained_on_and_filmed(tmp_path: Path) -> None:
    record(tmp_path / "data", walks(*[1] * 8))
    record(tmp_path / "real", walks(24, 28, 26))
    file = tmp_path / "pairs.parquet"
    cli.pair(tmp_path / "data", tmp_path / "real", file)
    assert {tuple(row["source_step"]) for row in pq.read_table(file).to_pylist()} == {(0,) * n for n in (24, 28, 26)}
    assert len(trained(tmp_path, "method.pairs={file='{data}/pairs.parquet', batch=6}")) == 4
    one = run.open_run(tmp_path / "run")
    clip = film.along(finished.deploy(one), running.domains(one)[0].tune, 0, "#ff9000")
    assert clip.film.startswith("data:video/mp4") and "0.0 s to 0.0 s of it" in clip.words
    cli.pair(tmp_path / "data", tmp_path / "data", file)
    assert {(*row["source_step"], *row["target_step"]) for row in pq.read_table(file).to_pylist()} == {(0, 0)}


def test_pairs_that_training_could_not_use_are_refused_before_a_study(sides: tuple[Path, Path], tmp_path: Path) -> None:
    cli.pair(*sides, tmp_path / "pairs.parquet", by=["joint_0"])
    record(tmp_path / "other", walks(20, 21, 22))
    cli.pair(sides[0], tmp_path / "other", tmp_path / "others.parquet")
    cli.pair(*sides, tmp_path / "acts.parquet", by=["steering"])
    tree = config.load(ONE, ["target.dataset.root={data}/real"])
    for name, limit, kind, sentence in (
        ("pairs", "all", None, ""),
        ("others", "all", DataError, "others.parquet is of other recordings"),
        ("acts", 3, ConfigError, "pairs.file was made by steering, which target.limit hides"),
    ):
        changes = {"method": {"pairs": {"file": f"{{data}}/{name}.parquet"}}, "target": {"limit": limit}}
        one = run.build(config.merge(tree, changes), tmp_path / "one", tmp_path, tmp_path / "cache")
        domains = running.domains(one, decode=False)
        with pytest.raises(kind, match=sentence) if kind else nullcontext():
            one.experiment.method.rehearse(*domains, start=None)


def test_a_file_of_something_else_is_refused(sides: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("pairs")
    pq.write_table(pa.table({"source": ["e0"]}), tmp_path / "other.parquet")
    for name in ("notes.txt", "other.parquet"):
        with pytest.raises(DataError, match=rf"{name} is no file of pairs. Make one: causeway pair SOURCE TARGET"):
            trained(tmp_path, f"method.pairs.file={{data}}/{name}")
