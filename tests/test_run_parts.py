"""The steps of a run one by one: what each is given, what is left out, what is refused."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from causeway import (
    agreement,
    config,
    domain,
    environment,
    evaluate,
    finished,
    parts,
    ranks,
    run,
    running,
    splits,
)
from causeway.data import Domain, Spec
from causeway.errors import ConfigError
from causeway.policies import cnn

SIDE = {"dataset": {"name": "lerobot", "root": "{data}/set"}}
TREE = {
    "method": {"name": "imitation", "policy": {"name": "cnn", "channels": [8, 8]}},
    "source": SIDE | {"limit": 3},
    "target": SIDE,
    "horizon": 2,
    "history": 3,
    "seed": 5,
}
SPEC = Spec(1, 32, 48, 0, 1, 2)


@pytest.fixture
def one(tmp_path: Path) -> run.Run:
    return run.build(TREE, tmp_path / "one", tmp_path / "data")


def test_places_are_filled_in_for_use_and_left_open_on_paper(one: run.Run, tmp_path: Path) -> None:
    assert one.experiment.source.dataset.root == f"{tmp_path}/data/set" and "{data}/set" in str(one.tree)
    assert str(tmp_path) not in str(one.tree) and one.tree["train"]["steps"] == 2000, "defaults are written out"
    assert (
        one.cache == tmp_path / "cache" and run.build(TREE, tmp_path, tmp_path, tmp_path / "c").cache == tmp_path / "c"
    )
    with pytest.raises(ConfigError, match="Say where that is: --data FOLDER"):
        run.build(TREE, tmp_path)


def test_both_domains_get_the_runs_seed_and_the_target_its_source(
    one: run.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(domain, "build", lambda *words: told.append(words) or words[0])
    monkeypatch.setattr(agreement, "refuse_mismatch", lambda *words: told.append(words))
    assert running.domains(one) == ("source", "target")  # type: ignore[comparison-overlap]
    e = one.experiment
    both = e.picture, 2, one.cache, 5
    sides = [("source", e.source, *both, None), ("target", e.target, *both, "source")]
    assert told == [*[(*side, True, 3, True) for side in sides], ("source", "target", 2)]
    told.clear()
    running.domains(one, decode=False)
    assert told == [*[(*side, False, 3, True) for side in sides], ("source", "target", 2)], "all else is looked at"


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    done: list[str] = []
    monkeypatch.setattr(running, "domains", lambda one: done.append("domains") or ("source", "target"))
    monkeypatch.setattr(splits, "write", lambda *words: None)
    monkeypatch.setattr(splits, "recorded", lambda *words: {})
    monkeypatch.setattr(running, "train_part", lambda one, source, target: done.append(f"train {source} {target}"))
    monkeypatch.setattr(running, "test", lambda one, target: done.append(f"test {target}") or [])
    yield done


def test_nothing_is_done_twice(one: run.Run, steps: list[str]) -> None:
    running.work(one)
    assert steps == ["domains", "train source target", "test target"] and one.tested
    (one.folder / "target.npz").unlink()
    (one.folder / "part.safetensors").touch()
    steps.clear()
    running.work(one)
    running.work(one)
    assert steps == ["domains", "test target"]


def test_several_ranks_train_elsewhere(one: run.Run, steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "train", lambda folder: steps.append(f"ranks of {folder.name}"))
    ranked = replace(one, experiment=replace(one.experiment, train=run.Training(devices=2)))
    running.work(ranked)
    assert steps == ["domains", f"ranks of {one.folder.name}", "test target"]


@pytest.mark.parametrize("first", [True, False])
def test_training_is_seeded_begun_and_saved(first: bool, one: run.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def build(*words: Any) -> Any:
        told.append((*words, float(torch.rand(1))))
        return SimpleNamespace(part="part")

    target = SimpleNamespace(spec=SPEC)
    monkeypatch.setattr(running, "load_part", lambda folder: f"part of {folder}")
    monkeypatch.setattr(running, "train", lambda method, *words: told.append(words) or first)
    monkeypatch.setattr(parts, "save", lambda *words: told.append(words))
    experiment = replace(one.experiment, method=SimpleNamespace(build=build), start="runs/before")
    torch.manual_seed(1)
    running.train_part(replace(one, experiment=experiment), "source", target)  # type: ignore[arg-type]
    torch.manual_seed(5)
    drawn = float(torch.rand(1))
    saved = [(one.folder, "part", target)] if first else []
    begun = ("source", target, 5, "part of runs/before", drawn)
    assert told == [begun, (experiment.train, 5, one.folder), *saved]


def test_settings_that_were_added_or_dropped_are_other_settings(one: run.Run) -> None:
    run.refuse_other_settings(one, one.tree)
    added = config.merge(one.tree, {"target": {"crop": {"middle": 1}}})
    with pytest.raises(ConfigError, match=r"other settings \(target.crop.middle: 1 there, unset now\)\. Choose"):
        run.refuse_other_settings(one, added)
    dropped = {key: value for key, value in one.tree.items() if key != "seed"}
    with pytest.raises(ConfigError, match=r"other settings \(seed: 0 there, 5 now\)\. Choose"):
        run.refuse_other_settings(one, dropped)
    shorter = {key: value for key, value in one.tree.items() if key != "monitor"}  # by a version that had none
    run.refuse_other_settings(one, shorter)
    many = config.merge(one.tree, {"a": 1, "b": 1, "c": 1, "d": 1})
    with pytest.raises(ConfigError, match=r"\(a: 1 there, unset now; b: .*; c: 1 there, unset now \.\.\.\)"):
        run.refuse_other_settings(one, many)


def test_a_folder_knows_its_places_wherever_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with run.held(run.build(TREE, Path("one"), Path("data"), Path("kept"))):
        pass
    monkeypatch.chdir("/")
    assert run.open_run(tmp_path / "one").cache == tmp_path / "cache", "beside the run, where its own one is gone"
    (tmp_path / "kept").mkdir()
    opened = run.open_run(tmp_path / "one")
    assert opened.places["data"] == str(tmp_path / "data") and opened.cache == tmp_path / "kept"
    moved = run.open_run(tmp_path / "one", Path("/moved"), Path("/fast"))
    assert moved.experiment.target.dataset.root == "/moved/set" and moved.cache == Path("/fast")


def test_settings_and_weights_are_all_that_a_robot_needs(tmp_path: Path, target: Domain) -> None:
    made = run.build(TREE, tmp_path / "one", tmp_path / "data")
    with run.held(made):
        parts.save(made.folder, cnn.Config(channels=(8, 8)).build(SPEC), target)
    robot = tmp_path / "robot"
    robot.mkdir()
    for name in ("config.toml", "part.safetensors"):
        shutil.copy(made.folder / name, robot)
    agent = finished.deploy(run.open_run(str(robot)))  # type: ignore[arg-type]
    assert agent.names.actions == ("steering", "throttle")
    (robot / "part.safetensors").write_bytes((made.folder / "part.safetensors").read_bytes()[:-100])
    with pytest.raises(ConfigError, match=r"part.safetensors is not whole .* Copy it again"):
        finished.load_part(robot)


@pytest.fixture
def target(moments: Any) -> Domain:
    return Domain("target", *[replace(moments(20, state=0), cameras=("front",))] * 5)


def test_a_part_says_what_it_fits(one: run.Run, target: Domain) -> None:
    with pytest.raises(ConfigError, match=r"one holds no finished run: there is no part\.safetensors"):
        parts.fits(one.folder)
    one.folder.mkdir()
    parts.save(one.folder, torch.nn.Linear(1, 1), target)
    assert parts.fits(one.folder) == (SPEC, agreement.Names((), ("steering", "throttle"), ("front",)))
    assert parts.rate_hz(one.folder) == pytest.approx(10.0)


def test_a_part_is_loaded_whole_or_refused(one: run.Run, target: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    with run.held(one):
        pass
    part = cnn.Config(channels=(8, 8)).build(SPEC)
    parts.save(one.folder, part, target)
    found = finished.load_part(one.folder).state_dict()
    assert all(torch.equal(found[name], value) for name, value in part.state_dict().items())

    def broken(weights: Any, path: Path, **_: Any) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(parts, "save_file", broken)
        with pytest.raises(RuntimeError, match="killed"):
            parts.save(one.folder, part, target)
    assert finished.load_part(one.folder).state_dict().keys() == found.keys()
    parts.save(one.folder, torch.nn.Linear(1, 1), target)
    with pytest.raises(
        ConfigError, match=r"does not fit its own settings: was its config.toml changed.* train it again in another"
    ):
        finished.load_part(one.folder)


def test_settings_are_never_half_written(one: run.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with run.held(one):
        before = (one.folder / "config.toml").read_text()

    def broken(path: Path, text: str, **_: Any) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("killed")

    monkeypatch.setattr(Path, "write_text", broken)
    with pytest.raises(RuntimeError, match="killed"), run.held(one):
        pytest.fail("held without its settings")
    assert (one.folder / "config.toml").read_text() == before


def test_a_folder_in_which_nothing_was_trained_yet_takes_other_settings(one: run.Run) -> None:
    other = run.build(one.tree | {"seed": 6}, one.folder, Path("elsewhere"))
    for begun in (one, other):
        with run.held(begun):
            assert config.load(one.folder / "config.toml") == begun.tree
    assert json.loads((one.folder / "environment.json").read_text())["places"]["data"] == str(
        Path("elsewhere").absolute()
    )
    for name in ("last.pt", "part.safetensors", "target.npz"):
        (one.folder / name).touch()
        with pytest.raises(ConfigError, match=r"other settings \(seed: 6 there, 5 now\)"), run.held(one):
            pytest.fail("held though it was begun")
        (one.folder / name).unlink()


def test_a_finished_run_keeps_saying_where_and_how_it_was_made(
    one: run.Run, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    running.work(one)
    (one.folder / "part.safetensors").touch()
    papers = [one.folder / name for name in ("config.toml", "environment.json")]
    before = [(paper.read_bytes(), paper.stat().st_mtime_ns, paper.stat().st_ino) for paper in papers]
    monkeypatch.setattr("sys.argv", ["causeway", "something", "else"])
    elsewhere = run.build(TREE, one.folder, Path("/moved"), Path("/fast"))
    running.work(elsewhere)
    (one.folder / "target.npz").unlink()
    running.work(elsewhere)
    assert elsewhere.tested and steps.count("test target") == 2
    assert before == [(paper.read_bytes(), paper.stat().st_mtime_ns, paper.stat().st_ino) for paper in papers]


def test_where_there_is_no_git_the_commit_is_unknown(one: run.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sys.argv", ["/usr/bin/causeway", "train", "one.toml"])
    with run.held(one):
        about = json.loads((one.folder / "environment.json").read_text())
    assert about["commit"] == "unknown" and about["command"] == "causeway train one.toml"
    assert about["places"] == {key: str(Path(value).absolute()) for key, value in one.places.items()}
    assert about["versions"]["torch"] == torch.__version__
    assert environment._version("no-such-package") == "not installed"


def test_why_a_run_failed_is_forgotten_when_it_is_tried_again(one: run.Run, steps: list[str]) -> None:
    one.folder.mkdir()
    (one.folder / "error.txt").write_text("DataError: no picture")
    assert one.error == "DataError: no picture"
    running.work(one)
    assert one.error == ""


def test_the_traces_of_a_run_are_those_of_its_target(one: run.Run) -> None:
    one.folder.mkdir()
    evaluate.save(one.folder / "target.npz", [evaluate.Trace("7", torch.zeros(1, 1).numpy())])
    assert [trace.name for trace in one.traces] == ["7"]
