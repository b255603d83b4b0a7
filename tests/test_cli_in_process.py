"""What each command passes on to the library, without the start of a process."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
import typer
from PIL import Image

from causeway import (
    cli,
    collect,
    config,
    console,
    finished,
    report,
    results,
    run,
    running,
    study,
)
from causeway.errors import ConfigError, DataError, Interrupted, MissingExtra
from causeway.evaluate import Measure
from causeway.metrics import Trace
from recordings import write_csv, write_lerobot

ONE = Path(__file__).parent / "one.toml"
ON = "The same command goes on from what was saved."


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("no such thing"), 2, "ConfigError: no such thing"),
        (DataError("no picture"), 2, "DataError: no picture"),
        (MissingExtra("dino", "transformers", "dino"), 2, "MissingExtra: dino needs transformers"),
        (FloatingPointError("step 3"), 2, "FloatingPointError: step 3"),
        (NotADirectoryError(20, "Not a directory", "a.toml/x"), 2, "OSError: a.toml/x: Not a directory."),
        (OSError("no words"), 2, "OSError: no words"),
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(study, "plan", lambda *words: told.append(words) or "plan")
    failed: list[str] = []
    monkeypatch.setattr(study, "carry_out", lambda *words: told.append(words) or failed)
    monkeypatch.setattr(cli, "_publish", lambda made: told.append(made) or 3)
    with pytest.raises(SystemExit) as left:
        cli.run(ONE, ["seeds=[1]"], tmp_path / "d", tmp_path / "f", tmp_path / "c", ["plain", "tuned"], 4)
    assert left.value.code == 1 and "3 episodes crashed: see the report" in capsys.readouterr().err
    assert told == [
        (ONE, tmp_path / "f", ["seeds=[1]"], tmp_path / "d", tmp_path / "c"),
        ("plan", 4, ["plain", "tuned"]),
        "plan",
    ]
    cli.run(ONE, allow_failures=True)
    assert told[3:] == [(ONE, Path("runs/one"), (), None, None), ("plan", 1, ()), "plan"]
    monkeypatch.setattr(cli, "_publish", lambda made: 0)
    cli.run(ONE)
    failed += ["plain-s0", "tuned-s1"]
    with pytest.raises(SystemExit) as left:
        cli.run(ONE, allow_failures=True)
    said = "2 runs failed: plain-s0, tuned-s1. Each has an error.txt in its folder."
    assert left.value.code == 1 and said in capsys.readouterr().err, "runs are no episodes: they may not fail"


STUDY = """
[arms.plain]
method.target_weight = 0.0
[arms.wild]
train = { learning_rate = 1e30, clip = 0.0, warmup = 0.0 }
"""


def test_a_study_with_a_failing_arm_tells_of_the_others_and_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lerobot(tmp_path / "data", count=12)
    (tmp_path / "wild.toml").write_text(ONE.read_text() + STUDY)
    places = {"data": tmp_path, "folder": tmp_path / "runs", "cache": tmp_path / "cache"}
    with pytest.raises(SystemExit) as left:
        cli.run(tmp_path / "wild.toml", **places)  # type: ignore[arg-type]
    assert left.value.code == 1 and "1 runs failed: wild-s0." in capsys.readouterr().err
    assert (tmp_path / "runs/wild-s0/error.txt").read_text().startswith("FloatingPointError: step ")
    lines = (tmp_path / "runs/results.csv").read_text().splitlines()[1:]
    assert lines and all(line.startswith("plain,") for line in lines) and (tmp_path / "runs/report.html").exists()
    cli.run(tmp_path / "wild.toml", ["arms.wild.train={}"], **places)  # type: ignore[arg-type]
    assert not (tmp_path / "runs/wild-s0/error.txt").exists(), "nothing was trained there yet: it takes other settings"
    assert "\nwild," in (tmp_path / "runs/results.csv").read_text() and "1 done before" in capsys.readouterr().out


def test_crashed_episodes_are_counted_once_for_all_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def row(arm: str, metric: str, failed: int) -> results.Row:
        return results.Row(arm, "", metric, 1, "lower", "", 1, 9, failed, Measure(0.5, 0.25, 0.75), None, "", (0.5,))

    rows = [row("a", "mae", 2), row("a", "r2", 2), row("b", "mae", 1), row("b", "r2", 1)]
    pages: list[Path] = []
    monkeypatch.setattr(results, "table", lambda made, metrics: rows)
    monkeypatch.setattr(report, "write", lambda made, rows, path: pages.append(path))
    assert cli._publish(SimpleNamespace(folder=tmp_path, metrics={})) == 3
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 5 and pages == [tmp_path / "report.html"]
    assert str(pages[0]) in capsys.readouterr().out


def test_training_works_on_the_changed_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worked: list[run.Run] = []
    monkeypatch.setattr(running, "work", worked.append)
    monkeypatch.setattr(run.Run, "traces", property(lambda one: []))
    cli.train(ONE, ["train.steps=7"], tmp_path, tmp_path / "f", tmp_path / "c")
    assert worked[0].experiment.train.steps == 7 and worked[0].cache == tmp_path / "c"
    assert worked[0].folder == tmp_path / "f" and worked[0].places["data"] == str(tmp_path)
    monkeypatch.setattr(run.Run, "traces", property(lambda one: traces()))
    with pytest.raises(SystemExit) as left:
        cli.train(ONE, (), tmp_path, tmp_path / "f", tmp_path / "c")
    assert left.value.code == 1 and "1 episodes crashed." in capsys.readouterr().err


@pytest.mark.parametrize("key", ["seeds = [0]", "arms = { plain = {} }"])
def test_training_refuses_a_study(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "work", lambda one: pytest.fail("worked"))
    (tmp_path / "many.toml").write_text(f"{key}\n{ONE.read_text()}")
    with pytest.raises(ConfigError, match=r"many.toml has arms or seeds: it is a study.*: causeway run .*many.toml"):
        cli.train(tmp_path / "many.toml", (), tmp_path, tmp_path / "f")


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
    metrics = {"mae": SimpleNamespace(version=1)}
    named = [("here", traces()), ("episode 2", traces()[4:])]
    assert console.measures(named[:1], metrics, tmp_path / "scores.csv") == 1
    assert (tmp_path / "scores.csv").read_text() == "on,metric,value,low,high,version\nhere,mae,0.5,0.25,5,1\n"
    told = capsys.readouterr()
    assert "1 of 5 episodes crashed: RuntimeError: gone" in told.err
    assert all(word in told.out for word in ("here", "mae", "0.500", "0.250", "5.000"))
    assert console.measures(named, metrics, None) == 1, "parts of the first group do not count again"
    assert console.measures([("here", traces()[:4])], metrics, None) == 0


def test_a_run_is_scored_in_one_place_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = SimpleNamespace(experiment=SimpleNamespace(train=SimpleNamespace(threads=3)))
    shown: list[Any] = []
    threads: list[int] = []
    places: list[Any] = []
    monkeypatch.setattr(run, "open_run", lambda *words: places.append(words) or opened)
    monkeypatch.setattr("torch.set_num_threads", threads.append)
    monkeypatch.setattr(finished, "test_in_simulator", lambda one, worlds: traces())
    monkeypatch.setattr(finished, "test_on_recordings", lambda one, dataset: traces()[:2])
    crashed = iter([0, 0, 2])

    def show(named: Any, metrics: Any, csv: Path | None, asked: Any) -> int:
        shown.append([(name, len(found)) for name, found in named])
        assert {"mae", "success"} <= metrics.keys() and csv == tmp_path / "scores.csv"
        return next(crashed)

    monkeypatch.setattr(console, "measures", show)
    write_csv(tmp_path / "tub", ["1.png,a,1,100,0.1,0.5"])
    scores = tmp_path / "scores.csv"
    cli.evaluate(tmp_path, simulator="lanes", each=True, csv=scores)
    cli.evaluate(tmp_path, dataset=tmp_path / "tub", data=tmp_path / "d", cache=tmp_path / "c", csv=scores)
    assert shown == [[("lanes", 5), ("episode 0", 2), ("episode 1", 2), ("episode 2", 1)], [(str(tmp_path / "tub"), 2)]]
    assert threads == [3, 3] and places == [(tmp_path, None, None), (tmp_path, tmp_path / "d", tmp_path / "c")]
    with pytest.raises(SystemExit) as left:
        cli.evaluate(tmp_path, simulator="lanes", csv=scores)
    assert left.value.code == 1
    for both in ({}, {"simulator": "lanes", "dataset": tmp_path / "tub"}):
        with pytest.raises(ConfigError, match="either --dataset PATH or --simulator NAME"):
            cli.evaluate(tmp_path, **both)
    with pytest.raises(ConfigError, match=r"--csv .*/none/x.csv: there is no folder .*/none"):
        cli.evaluate(tmp_path, simulator="lanes", csv=tmp_path / "none" / "x.csv")


def test_metrics_that_cannot_be_measured_end_an_evaluation_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = SimpleNamespace(experiment=SimpleNamespace(train=SimpleNamespace(threads=0)))
    monkeypatch.setattr(run, "open_run", lambda *words: opened)
    monkeypatch.setattr("causeway.parts.fits", lambda folder: (None, SimpleNamespace(actions=("steering", "throttle"))))
    monkeypatch.setattr(finished, "test_in_simulator", lambda *words: pytest.fail("driven"))
    for text, sentence in (
        ("", r"mine.toml has no \[metrics\] to measure by"),
        (
            "[metrics]\ngas = {name = 'mae', index = 'brake'}",
            r"\[metrics.gas\] index = 'brake': there is no such action",
        ),
    ):
        (tmp_path / "mine.toml").write_text(text)
        with pytest.raises(ConfigError, match=sentence):
            cli.evaluate(tmp_path, simulator="lanes", metrics=tmp_path / "mine.toml")


def test_the_format_of_a_folder_is_recognised_or_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_csv(tmp_path / "tub", ["1.png,a,1,100,0.1,0.5"])
    cli.check(root)
    assert "donkey, 1 episodes, 1 frames, nothing wrong" in capsys.readouterr().out
    with pytest.raises(typer.Exit):
        cli.check(root, format="lerobot")
    (tmp_path / "tub" / "labels.csv").unlink()
    with pytest.raises(DataError, match=r"is in no format that causeway knows\. It has images/ but no labels\.csv"):
        cli.check(root)
    with pytest.raises(DataError, match=r"in no format that causeway knows\. It is a file; a dataset is a folder"):
        cli.check(Path(__file__))
    cli.check(root / "images" / "1.png")
    assert "images, 1 episodes, 1 frames, nothing wrong" in capsys.readouterr().out


def test_sizes_that_differ_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, size in enumerate([(12, 16), (24, 32), (12, 16)]):
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(tmp_path / f"{number}.png")
    cli.check(tmp_path)
    assert "front: 2 of 16x12, 1 of 32x24\n" in capsys.readouterr().out


def test_there_is_no_report_of_what_was_never_begun(tmp_path: Path) -> None:
    one = tmp_path / "study.toml"
    one.write_text((Path(__file__).parent / "one.toml").read_text())
    with pytest.raises(ConfigError, match=r"There is no folder .*none: nothing of this study has been done there"):
        cli.report(one, data=tmp_path, folder=tmp_path / "none")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ((), ["alignment", "transport", "simulator", "lanes"]),
        (("alignment",), ["transport", "adversarial"]),
        (("alignment", "transport"), ["reach", "setting", "default"]),
        (("transport",), ["reach", "setting", "default"]),
        (("experiment",), ["horizon", "start", "one method", "Everything one run is made of"]),
        (("source",), ["test_dataset", "one dataset", "crop.top", "One side of the gap"]),
        (("target",), ["limit", "a whole number or 'all'"]),
        (("picture",), ["height", "64"]),
        (("train",), ["steps", "a whole number"]),
        (("evaluate",), ["stretch_s", "a number"]),
    ],
)
def test_a_list_is_of_all_or_a_kind_or_a_component_or_a_section(
    words: tuple[str, ...], shown: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    cli.list_(*(*words, "", "")[:2])
    said = capsys.readouterr().out
    assert all(word in said for word in shown), said
    assert ("lanes" in said) == (words == ()), "nothing of other kinds"


def test_what_no_list_has_gets_the_nearest_word() -> None:
    with pytest.raises(ConfigError, match="There is no reward yet"):
        console.listed("reward", "")
    with pytest.raises(ConfigError, match=r"There is no kind, component or section 'trian'. Did you mean 'train'\?"):
        cli.list_("trian", "")
