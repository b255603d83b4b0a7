"""The command line as a user types it."""

import subprocess
import sys
from pathlib import Path

import pytest

from causeway import cli
from causeway.errors import Interrupted
from recordings import write_csv, write_lerobot

COMMANDS = ("quickstart", "collect", "import", "check", "pair", "train", "evaluate", "run", "report", "list")


def causeway(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "causeway", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_help_names_every_command_and_each_has_an_example() -> None:
    shown = causeway("--help").stdout
    assert all(command in shown for command in COMMANDS)
    from typer.main import get_command

    from causeway.cli import app

    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        if command.hidden:
            continue
        assert f"Example: causeway {name}" in command.help, name


def test_list_shows_components_and_settings() -> None:
    assert "transport" in causeway("list", "alignment").stdout
    shown = causeway("list", "alignment", "transport")
    assert shown.returncode == 0 and "reach" in shown.stdout and "raising" in shown.stdout.lower()
    assert "METHODS" not in shown.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("list", "alignmnet"), "There is no kind, component or section 'alignmnet'. Did you mean 'alignment'?"),
        (("list", "alignment", "transprot"), "Did you mean 'transport'?"),
        (("run", "none.toml"), "There is no experiment file none.toml"),
        (("evaluate", "nowhere", "--simulator", "lanes"), "nowhere is not a run"),
        (("check", "nowhere"), "There is no folder nowhere"),
        (("collect", "lane", "x"), "Did you mean 'lanes'?"),
        (("collect", "lanes", "x", "prest=target"), "Did you mean 'preset'?"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(
    words: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["causeway", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    said = capsys.readouterr().err
    assert left.value.code == 2 and sentence in said and "Traceback" not in said


def test_a_mistake_ends_the_program_so() -> None:
    done = causeway("run", "none.toml")
    assert done.returncode == 2 and "There is no experiment file none.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_import_and_check(tmp_path: Path) -> None:
    rows = [f"{i}.png,a,{i},{i * 100},0.{i},0.5" for i in range(8)]
    write_csv(tmp_path / "tub", rows)
    assert "1 episodes, 8 frames" in causeway("import", "donkey", tmp_path / "tub", tmp_path / "new").stdout
    checked = causeway("check", tmp_path / "new")
    assert checked.returncode == 0 and "nothing wrong" in checked.stdout
    lines = checked.stdout.splitlines()[1:]
    assert [line.split(maxsplit=1)[0] for line in lines] == ["cameras", "rate", "state", "actions", "points"]
    said = dict(line.split(maxsplit=1) for line in lines)
    assert said["actions"] == "steering, throttle" and said["rate"] == "10 Hz, 8 to 8 frames an episode"
    assert said["cameras"].startswith("front: ") and said["state"] == said["points"] == "none"


def test_check_says_what_is_wrong_and_exits_1(tmp_path: Path) -> None:
    write_csv(tmp_path / "tub", ["1.png,a,1,100,0.1,0.5", "2.png,a,2,200,1.5,0.5", "3.png,a,3,300,nan,0.5"])
    checked = causeway("check", tmp_path / "tub")
    assert checked.returncode == 1 and "2 problems" in checked.stdout


def test_evaluate_scores_a_run_on_anything_else(tmp_path: Path) -> None:
    from causeway import config, run, running

    data = write_lerobot(tmp_path / "data", count=12)
    tree = config.load(Path(__file__).parent / "one.toml")
    running.work(run.build(tree, tmp_path / "one", tmp_path, tmp_path / "cache"))
    mine = tmp_path / "mine.toml"
    mine.write_text('[metrics]\ngas = { name = "mae", index = "throttle" }\nmiles = { name = "completion" }\n')
    written = "--csv", tmp_path / "scores.csv", "--each", "--metrics", mine
    done = causeway("evaluate", tmp_path / "one", "--dataset", data, *written)
    assert done.returncode == 0 and "correlation" in done.stdout and done.stdout.count("mae") == 13, done.stderr
    assert done.stdout.count("gas") == 13 and "Nothing was found to measure miles by: no value." in done.stderr
    assert (tmp_path / "scores.csv").read_text().startswith("on,metric,value,low,high,version\n")


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        (Interrupted("Stopped at step 4 and saved."), "Stopped at step 4 and saved."),
        (KeyboardInterrupt(), "The same command goes on from what was saved."),
    ],
)
def test_ctrl_c_ends_in_a_sentence(
    raised: BaseException, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press(*_: object) -> None:
        raise raised

    monkeypatch.setattr("causeway.config.load", press)
    monkeypatch.setattr(sys, "argv", ["causeway", "train", "one.toml"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 130 and sentence in capsys.readouterr().err
