"""Runs and studies: what survives a kill, what is refused, what a folder holds."""

import errno
import json
import multiprocessing
import os
import shutil
import signal
import time
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from causeway import config, domain, finished, report, results, run, running, splits, study, train
from causeway.datasets import Episode, lerobot
from causeway.errors import ConfigError, DataError, Interrupted
from causeway.recorder import Recorder, Recording

METHOD = '{ name = "imitation", batch = 8, policy = { name = "cnn", channels = [8, 8] } }'
WITHOUT_METHOD = """
seeds = [0]
picture = { height = 32, width = 48 }
train = { steps = 12, save_every = 4, log_every = 1, checks = 3, accelerator = "cpu", threads = 1 }
source = { dataset = { name = "lerobot", root = "{data}/source" }, block_s = 1.0 }
target = { dataset = { name = "lerobot", root = "{data}/target" }, block_s = 1.0, limit = 5 }
"""
ARMS = """
[arms.plain]
method.target_weight = 0.0
[arms.tuned]
start = "plain"
method.target_weight = 1.0
"""
HERE = str(Path(__file__).parent)
EXPERIMENT = f"{WITHOUT_METHOD}method = {METHOD}\n{ARMS}"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name in ("source", "target"):
        rng = np.random.default_rng(len(name))
        with Recorder(folder / name, Recording(("front",), 10, (), ("steering",), "image")) as recorder:
            for number in range(3):
                pictures = rng.integers(0, 255, (40, 1, 32, 48, 3)).astype(np.uint8)
                actions = rng.uniform(-1, 1, (40, 1)).astype(np.float32)
                state = np.zeros((40, 0), np.float32)
                recorder.add(Episode(str(number), np.arange(40) / 10, state, actions), pictures)
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(EXPERIMENT)
    return path


def one(file: Path, folder: Path, recordings: Path, *changes: str) -> run.Run:
    tree = config.load(file, changes)
    for key in ("arms", "seeds"):
        tree.pop(key, None)
    return run.build(tree, folder, recordings, folder.parent / "cache")


@pytest.mark.parametrize("test", ["test", "test_dataset"])
def test_a_run_folder_says_what_was_kept_from_training(test: str, file: Path, tmp_path: Path, recordings: Path) -> None:
    other = ["target.test_dataset={name='lerobot', root='{data}/source'}"] if test == "test_dataset" else []
    made = one(file, tmp_path / "one", recordings, "train.steps=1", *other)
    running.work(made)
    kept = json.loads((tmp_path / "one" / "split.json").read_text())
    words = kept.pop("recorded")
    assert words == splits.recordings(made.experiment, made.cache)
    assert words["test"] == words["source" if other else "target"]
    source, target = running.domains(made)
    assert {side: {*parts} for side, parts in kept.items()} == {"source": {"tune"}, "target": {"tune", test}}
    for side, part, held in (
        ("source", "tune", source.tune),
        ("target", "tune", target.tune),
        ("target", test, target.test),
    ):
        assert kept[side][part] == {name: [list(s) for s in spans] for name, spans in domain.spans(held).items()} != {}


def other_recordings(folder: Path, change: str) -> None:
    """A target like that of ``recordings`` but for what ``change`` names."""
    rng = np.random.default_rng(6)
    names = ("throttle",) if change == "names" else ("steering",)
    with Recorder(folder, Recording(("front",), 10, (), names, "image")) as recorder:
        for number in range(4 if change == "more" else 3):
            pictures = rng.integers(0, 255, (40, 1, 32, 48, 3)).astype(np.uint8)
            actions = rng.uniform(-1, 1, (40, 1)).astype(np.float32) + np.float32(change == "actions")
            time_s = np.arange(40) / 10 * (1.01 if change == "time" else 1)
            name = f"{number}x" if change == "name" else str(number)
            recorder.add(Episode(name, time_s, np.zeros((40, 0), np.float32), actions), pictures)


@pytest.mark.parametrize(
    "change", ["", "more", *(pytest.param(each, marks=pytest.mark.slow) for each in ("actions", "time", "name"))]
)
def test_nothing_goes_on_with_other_recordings(
    change: str, file: Path, tmp_path: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, folder = tmp_path / "data", tmp_path / "study"
    data.mkdir()
    shutil.copytree(recordings / "source", data / "source")
    other_recordings(data / "target", "")
    planned = study.plan(file, folder, ["train.steps=4", "target.episodes=3"], data)
    assert study.carry_out(planned) == []
    shutil.rmtree(data / "target")
    other_recordings(data / "target", change)
    rows = results.table(planned, planned.metrics)
    said = "-s0 began with other recordings of its target and test: episodes, times or numbers have changed"
    if change in ("", "more"):  # written anew, with other times of its files; or with an episode that nobody uses
        assert study.carry_out(planned) == [] and said not in capsys.readouterr().err
        report.write(planned, rows, tmp_path / "report.html")
        (folder / "tuned-s0" / "target.npz").unlink()
        assert study.carry_out(planned) == []
        return
    assert study.carry_out(planned) == []
    assert f"{said}. Its results are those of before." in capsys.readouterr().err
    with pytest.raises(DataError, match=f"{said}. Its results stand in results.csv"):
        report.write(planned, rows, tmp_path / "report.html")
    (folder / "plain-s0" / "target.npz").unlink()
    for go_on in (lambda: study.carry_out(planned), lambda: running.work(planned.runs[0].run)):
        with pytest.raises(DataError, match=f"{said}. Put those back, or choose another folder"):
            go_on()


def test_a_word_for_recordings_knows_what_numbers_mean(tmp_path: Path, recordings: Path) -> None:
    other_recordings(tmp_path / "named", "names")
    other_recordings(tmp_path / "same", "")
    words = []
    for name in ("named", "same"):
        config = domain.Config(dataset=lerobot.Config(str(tmp_path / name)))
        experiment = SimpleNamespace(source=config, target=config, picture=domain.Picture(32, 48), horizon=1)
        words.append(splits.recordings(experiment, tmp_path / "cache")["source"])
    assert words[0] != words[1]


def test_a_run_folder_is_all_an_agent_needs(file: Path, tmp_path: Path, recordings: Path) -> None:
    made = one(file, tmp_path / "one", recordings)
    running.work(made)
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert {"config.toml", "log.jsonl", "last.pt", "part.safetensors", "environment.json", "target.npz"} <= names
    again = run.open_run(tmp_path / "one")
    chunk = finished.deploy(again).act(np.zeros((2, 1, 3, 32, 48), np.uint8), np.zeros((2, 0), np.float32))
    assert chunk.shape == (2, 1)
    text = (tmp_path / "one" / "config.toml").read_text()
    assert str(recordings) not in text and "{data}/source" in text, "a run's settings carry no machine's paths"
    about = json.loads((tmp_path / "one" / "environment.json").read_text())
    assert about["versions"]["torch"] == torch.__version__ and about["places"]["data"] == str(recordings)


def test_the_resolved_settings_reproduce_the_run(file: Path, tmp_path: Path, recordings: Path) -> None:
    running.work(one(file, tmp_path / "one", recordings))
    copy = run.build(config.load(tmp_path / "one" / "config.toml"), tmp_path / "two", recordings, tmp_path / "cache")
    running.work(copy)
    assert same_weights(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_bit_for_bit(file: Path, tmp_path: Path, recordings: Path) -> None:
    changes = ("train.steps=60",)
    running.work(one(file, tmp_path / "whole", recordings, *changes))
    log = tmp_path / "killed" / "log.jsonl"
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__, "causeway.methods.imitation"])  # slow imports once, not three times
    for lines in (3, 20, 41):
        process = processes.Process(target=_work, args=(file, tmp_path / "killed", recordings, changes))
        process.start()
        until(partial(written, log, lines))
        assert process.is_alive()
        process.kill()
        process.join()
    running.work(one(file, tmp_path / "killed", recordings, *changes))
    assert same_weights(tmp_path / "whole", tmp_path / "killed")
    whole, killed = (logged(tmp_path / name / "log.jsonl") for name in ("whole", "killed"))
    assert whole == killed, "steps done again are not logged twice"


def _work(file: Path, folder: Path, recordings: Path, changes: tuple[str, ...]) -> None:
    torch.set_num_threads(1)
    running.work(one(file, folder, recordings, *changes))


def written(log: Path, count: int) -> bool:
    return log.exists() and len(log.read_text().splitlines()) >= count


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def logged(path: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def same_weights(a: Path, b: Path) -> bool:
    one, other = load_file(a / "part.safetensors"), load_file(b / "part.safetensors")
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_ctrl_c_saves_and_says_how_to_go_on(file: Path, tmp_path: Path, recordings: Path) -> None:
    made = one(file, tmp_path / "one", recordings, "train.save_every=1000", "train.steps=5000", "train.checks=0")
    written = train._write

    def press_at_step_3(log: object, record: dict[str, float]) -> None:
        written(log, record)
        if record["step"] == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "_write", press_at_step_3)
        with pytest.raises(Interrupted, match=r"Stopped at step 4 and saved. The same command goes on"):
            running.work(made)
    assert torch.load(tmp_path / "one" / "last.pt", weights_only=True)["step"] == 4


def test_other_settings_are_refused(file: Path, tmp_path: Path, recordings: Path) -> None:
    running.work(one(file, tmp_path / "one", recordings))
    with pytest.raises(ConfigError, match=r"begun with other settings \(method.batch: 8 there, 9 now\)"):
        running.work(one(file, tmp_path / "one", recordings, "method.batch=9"))


def test_two_processes_refuse_each_other(file: Path, tmp_path: Path, recordings: Path) -> None:
    made = one(file, tmp_path / "one", recordings)
    with run.held(made), pytest.raises(DataError, match=r"is in use by another causeway process"):
        running.work(made)


def test_a_full_disk_keeps_the_last_checkpoint(file: Path, tmp_path: Path, recordings: Path) -> None:
    made = one(file, tmp_path / "one", recordings)
    saved, calls = torch.save, []

    def full_at_the_second(state: object, path: Path) -> None:
        calls.append(path)
        if len(calls) == 2:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        saved(state, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "save", full_at_the_second)
        with pytest.raises(DataError, match=r"No room left to write .*one. The checkpoint before step 8 is kept"):
            running.work(made)
    assert torch.load(tmp_path / "one" / "last.pt", weights_only=True)["step"] == 4
    assert not list((tmp_path / "one").glob("*.part"))
    running.work(made)
    assert made.tested


def test_a_loss_that_is_not_finite_names_its_step_and_terms(file: Path, tmp_path: Path, recordings: Path) -> None:
    made = one(file, tmp_path / "one", recordings, "train.learning_rate=1e30", "train.clip=0.0", "train.warmup=0.0")
    with pytest.raises(FloatingPointError, match=r"step \d+: loss is (nan|inf); terms: .*imitation/source"):
        running.work(made)


def test_a_study_does_each_run_once_and_tells(
    file: Path, tmp_path: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = study.plan(file, tmp_path / "s", (), recordings, tmp_path / "cache")
    assert {p.run.folder.name for p in planned.runs} == {"plain-s0", "tuned-s0"}
    study.carry_out(planned)
    before = (tmp_path / "s" / "tuned-s0" / "part.safetensors").stat().st_mtime_ns
    study.carry_out(planned)
    assert (tmp_path / "s" / "tuned-s0" / "part.safetensors").stat().st_mtime_ns == before
    assert "2 runs, 2 done before" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"begun with other settings"):
        study.carry_out(study.plan(file, tmp_path / "s", ["method.batch=9"], recordings, tmp_path / "cache"))


@pytest.mark.slow
def test_runs_in_processes_of_their_own_give_the_same(file: Path, tmp_path: Path, recordings: Path) -> None:
    study.carry_out(study.plan(file, tmp_path / "a", (), recordings, tmp_path / "cache"))
    study.carry_out(study.plan(file, tmp_path / "b", (), recordings, tmp_path / "cache"), jobs=2)
    assert same_weights(tmp_path / "a" / "tuned-s0", tmp_path / "b" / "tuned-s0")


def test_an_arm_begins_from_its_own_seed(file: Path, tmp_path: Path, recordings: Path) -> None:
    planned = study.plan(file, tmp_path / "s", ["seeds=[3,4]"], recordings)
    starts = {p.run.folder.name: p.run.tree["start"] for p in planned.runs}
    assert starts == {"plain-s3": "", "plain-s4": "", "tuned-s3": "{runs}/plain-s3", "tuned-s4": "{runs}/plain-s4"}


def test_a_sweep_crosses_every_arm_but_where_an_arm_narrows_it(file: Path, tmp_path: Path, recordings: Path) -> None:
    file.write_text(
        EXPERIMENT.replace(
            "[arms.plain]", '[sweep]\n"target.limit" = [0, 5]\n[arms.plain]\nsweep = {"target.limit" = [0]}'
        )
    )
    planned = study.plan(file, tmp_path / "s", ["arms.tuned.method.target_weight=0.5"], recordings)
    assert sorted(p.run.folder.name for p in planned.runs) == [
        "plain-limit=0-s0",
        "tuned-limit=0-s0",
        "tuned-limit=5-s0",
    ]
    assert planned.runs[0].run.experiment.target.limit == 0


def test_what_a_study_cannot_be(file: Path, tmp_path: Path, recordings: Path) -> None:
    with pytest.raises(ConfigError, match=r"arm 'plain': .*has no setting 'alinment'. Did you mean 'alignment'"):
        study.plan(file, tmp_path / "s", ["arms.plain.method.alinment=1"], recordings)
    with pytest.raises(ConfigError, match=r"there is no arm 'plane'. Did you mean 'plain'"):
        study.plan(file, tmp_path / "s", ["baseline=plane"], recordings)
    with pytest.raises(ConfigError, match=r"Say where that is: --data FOLDER"):
        study.plan(file, tmp_path / "s", (), None)


def test_a_part_of_other_shapes_is_not_loaded(file: Path, tmp_path: Path, recordings: Path) -> None:
    running.work(one(file, tmp_path / "one", recordings))
    with pytest.raises(ConfigError, match=r"is not a run"):
        run.open_run(tmp_path)
    (tmp_path / "one" / "part.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"holds no finished run"):
        finished.load_part(tmp_path / "one")


def test_the_committed_experiments_are_well_formed(tmp_path: Path) -> None:
    files = sorted((Path(__file__).parent.parent / "experiments").glob("*.toml"))
    assert files
    for path in [*files, Path(study.__file__).parent / "quickstart.toml"]:
        planned = study.plan(path, tmp_path, (), tmp_path)
        assert planned.runs and tomllib.loads(path.read_text())["title"]
