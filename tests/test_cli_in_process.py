"""What each command passes on to the library, without the start of a process."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
import typer

from causeway import cli, collect, config, report, results, run, study
from causeway.errors import ConfigError, DataError, Interrupted, MissingExtra
from causeway.evaluate import Measure
from causeway.metrics import Trace
from recordings import write_csv

ONE = Path(__file__).parent / "one.toml"
ON = "The same command goes on from the last checkpoint."


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("no such thing"), 2, "ConfigError: no such thing"),
        (DataError("no picture"), 2, "DataError: no picture"),
        (MissingExtra("dino", "transformers", "dino"), 2, "MissingExtra: dino needs transformers"),
        (FloatingPointError("step 3"), 2, "FloatingPointError: step 3"),
        (typer.Abort(), 130, "Stopped."),
        (Interrupted("Stopped at step 3 and saved."), 130, "Stopped at step 3 and saved."),
        (click.UsageError("no such option"), 2, "no such option"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_ends_a_command_is_a_sentence_and_a_code(
    error: Exception, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def app(**_: Any) -> None:
        raise error

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == code and said in capsys.readouterr().err


def test_what_typer_makes_of_ctrl_c_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "app", lambda **_: 130)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 130 and f"Stopped. {ON}" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", lambda **_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_a_study_is_planned_with_its_changes_and_done_by_so_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(study, "plan", lambda *words: told.append(words) or "plan")
    monkeypatch.setattr(study, "carry_out", lambda *words: told.append(words))
    monkeypatch.setattr(cli, "_publish", lambda made: 3)
    with pytest.raises(SystemExit):
        cli.run(ONE, ["seeds=[1]"], tmp_path / "d", tmp_path / "f", tmp_path / "c", 4)
    assert told == [(ONE, tmp_path / "f", ["seeds=[1]"], tmp_path / "d", tmp_path / "c"), ("plan", 4)]
    cli.run(ONE, allow_failures=True)
    assert told[2] == (ONE, Path("runs/one"), (), None, None)
    monkeypatch.setattr(cli, "_publish", lambda made: 0)
    cli.run(ONE)


def test_crashed_episodes_are_counted_once_for_all_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def row(arm: str, metric: str, failed: int) -> results.Row:
        return results.Row(arm, "", metric, 1, "lower", "", 1, 9, failed, Measure(0.5, 0.25, 0.75), None, "")

    rows = [row("a", "mae", 2), row("a", "r2", 2), row("b", "mae", 1), row("b", "r2", 1)]
    pages: list[Path] = []
    monkeypatch.setattr(study, "table", lambda made, metrics: rows)
    monkeypatch.setattr(report, "write", lambda made, rows, path: pages.append(path))
    assert cli._publish(SimpleNamespace(folder=tmp_path)) == 3
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 5 and pages == [tmp_path / "report.html"]
    assert str(pages[0]) in capsys.readouterr().out


def test_training_works_on_the_changed_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[run.Run] = []
    monkeypatch.setattr(run, "work", worked.append)
    monkeypatch.setattr(run.Run, "traces", property(lambda one: []))
    cli.train(ONE, ["train.steps=7"], tmp_path, tmp_path / "f", tmp_path / "c")
    assert worked[0].experiment.train.steps == 7 and worked[0].cache == tmp_path / "c"
    assert worked[0].folder == tmp_path / "f" and worked[0].places["data"] == str(tmp_path)


def test_the_quickstart_collects_what_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(cli, "collect", lambda *words, **more: told.append(words[1:5]))
    monkeypatch.setattr(cli, "run", lambda file, overrides, **more: told.append(more))
    (tmp_path / "data" / "target").mkdir(parents=True)
    cli.quickstart(tmp_path, jobs=3)
    assert told == [
        (tmp_path / "data" / "source", ["preset=source", "height=48", "width=72"], 60, 0),
        {"data": tmp_path / "data", "folder": tmp_path, "jobs": 3},
    ]


def test_collecting_passes_on_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(collect, "record", lambda *words: told.append(words) or (0, 0))
    cli.collect("lanes", Path("new"), ["preset=target"], episodes=3, seed=4, noise=0.5)
    worlds = config.component("simulator", {"name": "lanes", "preset": "target"})
    assert told == [(worlds, Path("new"), 3, 4, 0.5)]


def traces() -> list[Trace]:
    truth = np.zeros((2, 1), np.float32)
    scored = [Trace(f"{episode}@{second}s", truth + 0.5, truth) for episode in "01" for second in "05"]
    return [*scored, Trace("2@0s", truth, truth, error="RuntimeError: gone")]


def test_scores_are_written_in_full_and_crashes_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("causeway.evaluate.measure", lambda runs, metrics: {"mae": Measure(0.5, 0.25, len(runs[0]))})
    cli._show_measures([("here", traces())], tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text() == "on,metric,value,low,high,version\nhere,mae,0.5,0.25,5,1\n"
    assert "1 of 5 episodes crashed: RuntimeError: gone" in capsys.readouterr().err


def test_a_run_is_scored_in_one_place_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = SimpleNamespace(experiment=SimpleNamespace(train=SimpleNamespace(threads=3)))
    shown: list[Any] = []
    threads: list[int] = []
    monkeypatch.setattr(run, "open_run", lambda folder, data: opened)
    monkeypatch.setattr("torch.set_num_threads", threads.append)
    monkeypatch.setattr(run, "test_in_simulator", lambda one, worlds: traces())
    monkeypatch.setattr(run, "test_on_recordings", lambda one, dataset: traces()[:2])
    monkeypatch.setattr(cli, "_show_measures", lambda named, csv: shown.append([(n, len(t)) for n, t in named]))
    write_csv(tmp_path / "tub", ["1.png,a,1,100,0.1,0.5"])
    cli.evaluate(tmp_path, simulator="lanes", each=True)
    cli.evaluate(tmp_path, dataset=tmp_path / "tub")
    assert shown == [[("lanes", 5), ("episode 0", 2), ("episode 1", 2), ("episode 2", 1)], [(str(tmp_path / "tub"), 2)]]
    assert threads == [3, 3]
    for both in ({}, {"simulator": "lanes", "dataset": tmp_path / "tub"}):
        with pytest.raises(ConfigError, match="either --dataset PATH or --simulator NAME"):
            cli.evaluate(tmp_path, **both)


def test_the_format_of_a_folder_is_recognised_or_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_csv(tmp_path / "tub", ["1.png,a,1,100,0.1,0.5"])
    cli.check(root)
    assert "donkey, 1 episodes, 1 frames, nothing wrong" in capsys.readouterr().out
    with pytest.raises(typer.Exit):
        cli.check(root, format="lerobot")
    (tmp_path / "tub" / "labels.csv").unlink()
    with pytest.raises(DataError, match=r"is in no format that causeway knows \(donkey, lerobot\)"):
        cli.check(root)
