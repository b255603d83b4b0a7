"""``causeway gap`` and ``causeway ranking`` as their users meet them."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from causeway import cli_gap, gap_page, progress
from causeway.datasets import lerobot
from causeway.errors import ConfigError, DataError
from causeway.evaluate import Measure
from recordings import write_lerobot

SIZE = ["picture.height=24", "picture.width=32", "gap.resamples=20"]


def folder(path: Path, tint: int, count: int = 24, mode: str = "RGB", size: tuple[int, int] = (32, 24)) -> Path:
    rng = np.random.default_rng(tint)
    path.mkdir(parents=True)
    for number in range(count):
        pixels = np.full((size[1], size[0], 3), 60 + tint) + rng.integers(0, 60, (size[1], size[0], 3))
        Image.fromarray(pixels.astype(np.uint8)).convert(mode).save(path / f"{number}.png")
    return path


def readings(place: Path) -> dict[str, dict[str, str]]:
    with open(place / "gap.csv", newline="") as file:
        return {line["number"]: line for line in csv.DictReader(file)}


def test_two_folders_and_what_another_program_made_of_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = folder(tmp_path / "sim", 0), folder(tmp_path / "real", 90)
    near, out = folder(tmp_path / "by_another", 80), tmp_path / "out"
    cli_gap.gap(a, b, [*SIZE, "gap.stretch_s=0.5"], through=near, folder=out)
    found = readings(out)
    assert float(found["frechet_closed"]["value"]) > 50 and float(found["frechet_closed"]["low"]) > 0
    assert found["frechet"]["pictures_a"] == "24" and "no network" in found["frechet"]["encoder"]
    page = (out / "gap.html").read_text()
    assert "by_another closes" in page and "colours and textures alone" in page and page.count("data:image/jpeg") > 20
    assert "frechet_floor" in capsys.readouterr().out


def test_where_there_is_no_gap_none_is_said_to_be_closed(tmp_path: Path) -> None:
    a, twin, again = folder(tmp_path / "a", 0), folder(tmp_path / "twin", 1), folder(tmp_path / "again", 2)
    cli_gap.gap(a, twin, [*SIZE, "gap.stretch_s=0.3"], through=again, folder=tmp_path / "out")
    page = (tmp_path / "out" / "gap.html").read_text()
    assert "No gap is shown by" in page and "again closes" not in page


def test_what_cannot_be_gone_through_is_told_before_anything_is_written(tmp_path: Path) -> None:
    a, b = folder(tmp_path / "a", 0), folder(tmp_path / "b", 90)
    with pytest.raises(ConfigError, match=r"cache lies in the recordings .*b: name another by --cache"):
        cli_gap.gap(a, b, SIZE, folder=tmp_path / "out", cache=b / "cache")
    assert not (b / "cache").exists()
    (tmp_path / "study" / "one-s0").mkdir(parents=True)
    (tmp_path / "study" / "one-s0" / "config.toml").touch()
    with pytest.raises(ConfigError, match=r"study is not a run: .* It holds the runs one-s0\."):
        cli_gap.gap(a, b, SIZE, through=tmp_path / "study", folder=tmp_path / "out")


def test_no_more_is_decoded_than_is_looked_at(tmp_path: Path) -> None:
    """Of folders of folders, the first one alone, and of that eight pictures: 0 1, 7 8, 14 15, 22 23."""
    a, b, c = (tmp_path / name for name in "abc")
    for side, tint in ((a, 0), (b, 90), (c, 80)):
        for number in range(2 if side != c else 1):
            folder(side / f"drive{number}", tint + number)
    asked = [*SIZE, "gap.stretch_s=0.1", "gap.pictures=8", "a.episodes=1", "b.episodes=1"]
    cli_gap.gap(a, b, asked, through=c, folder=tmp_path / "whole")
    for side in (a, b, c):
        for number in (2, 6, 9, 13, 16, 21):
            (side / "drive0" / f"{number}.png").write_bytes(b"broken")
    cli_gap.gap(a, b, asked, through=c, folder=tmp_path / "some")
    assert readings(tmp_path / "some") == readings(tmp_path / "whole")
    assert readings(tmp_path / "some")["frechet"]["pictures_a"] == "8"


def test_a_folder_that_holds_the_other_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SAID", set())
    for number in range(2):
        folder(tmp_path / "all" / f"drive{number}", 40 * number)
    one, other = (tmp_path / "all" / f"drive{number}" for number in range(2))
    linked = tmp_path / "linked"
    linked.symlink_to(tmp_path / "all")
    for a, b, told in (
        (one, other, False),
        (one, one, False),
        (tmp_path / "all", one, True),
        (one, tmp_path / "all", True),
        (linked, one, True),
    ):
        progress.SAID.clear()
        cli_gap.gap(a, b, [*SIZE, "gap.pictures=20"], folder=tmp_path / "out")
        assert (f" holds {one} too" in capsys.readouterr().err) == told


def test_what_was_cut_otherwise_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SAID", set())
    a, b = folder(tmp_path / "sim", 0), folder(tmp_path / "real", 90)
    cut = folder(tmp_path / "cut", 80, size=(32, 18))
    cli_gap.gap(a, b, [*SIZE, "gap.stretch_s=0.5", "a.crop.top=0.25"], through=cut, folder=tmp_path / "out")
    assert capsys.readouterr().err == ""
    cli_gap.gap(a, b, SIZE, through=cut, folder=tmp_path / "out")
    assert "pictures of 32x18, which a's of 32x24 do not fit" in capsys.readouterr().err


def test_scores_of_policies_stand_on_the_page(tmp_path: Path) -> None:
    a, scores = folder(tmp_path / "a", 0), tmp_path / "scores.csv"
    with pytest.raises(DataError, match="There is no file"):
        cli_gap.gap(a, a, SIZE, scores=scores, folder=tmp_path / "out")
    lines = [f"grasp,p{number},{number},{number**2}" for number in range(5)]
    scores.write_text("task,policy,simulated,real\n" + "\n".join(lines))
    cli_gap.gap(a, a, SIZE, scores=scores, folder=tmp_path / "out")
    page = (tmp_path / "out" / "gap.html").read_text()
    assert "Do the policies keep their order" in page and "<b>grasp</b>" in page and "0.959" in page
    cli_gap.gap(a, a, SIZE, folder=tmp_path / "out")
    assert "keep their order" not in (tmp_path / "out" / "gap.html").read_text()


def test_without_a_bridge_the_page_tells_a_gap_from_none(tmp_path: Path) -> None:
    a, b, twin = folder(tmp_path / "a", 0), folder(tmp_path / "b", 90), folder(tmp_path / "twin", 1)
    cli_gap.gap(a, b, [*SIZE, "gap.stretch_s=0.3"], folder=tmp_path / "far")
    cli_gap.gap(a, twin, [*SIZE, "gap.stretch_s=0.3"], folder=tmp_path / "near")
    assert "There is a gap</b> between A and B" in (tmp_path / "far" / "gap.html").read_text()
    near = (tmp_path / "near" / "gap.html").read_text()
    assert "No gap is shown" in near and "closed, %" not in near


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16", "P"])
def test_pictures_of_all_modes_and_sizes_go_together(mode: str, tmp_path: Path) -> None:
    a, b = folder(tmp_path / "a", 0), folder(tmp_path / "b", 0, size=(20, 18))
    for file in b.glob("[0-5].png"):
        image = Image.open(file).convert("L")
        wide = Image.fromarray(np.asarray(image).astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
        wide.save(file)
    cli_gap.gap(a, b, SIZE, folder=tmp_path / "out")
    assert float(readings(tmp_path / "out")["cmmd_before"]["value"]) < 5


def test_folders_that_cannot_be_compared(tmp_path: Path) -> None:
    a, one, none = folder(tmp_path / "a", 0), folder(tmp_path / "one", 0, count=1), tmp_path / "none"
    none.mkdir()
    with pytest.raises(DataError, match=r"none is in no format that causeway knows\. It is empty"):
        cli_gap.gap(a, none, SIZE, folder=tmp_path / "out")
    with pytest.raises(DataError, match=r"by_another holds 23 moments \(cameras: 1\), but a holds 24"):
        cli_gap.gap(a, a, SIZE, through=folder(tmp_path / "by_another", 0, count=23), folder=tmp_path / "out")
    two = tmp_path / "two"
    write_lerobot(two, cameras=("front", "rear"))
    many = sum(len(episode) for episode in lerobot.Config(str(two)).build().episodes)
    with pytest.raises(DataError, match=rf"two holds {many} moments \(cameras: 2\), but a holds {many} \(cameras: 1\)"):
        cli_gap.gap(folder(tmp_path / "as_many", 0, count=many), a, SIZE, through=two, folder=tmp_path / "out")
    with pytest.raises(ConfigError, match=r"\[gap\] has no setting 'resample'. Did you mean 'resamples'"):
        cli_gap.gap(a, a, ["gap.resample=3"], folder=tmp_path / "out")
    with pytest.raises(DataError, match="There is no folder"):
        cli_gap.gap(a, tmp_path / "nowhere", SIZE, folder=tmp_path / "out")
    cli_gap.gap(a, one, SIZE, folder=tmp_path / "out")
    assert set(readings(tmp_path / "out")) == {"style_before", "style_floor"}


def test_what_each_channel_carries_is_written_most_first(tmp_path: Path) -> None:
    a, b = folder(tmp_path / "a", 0), folder(tmp_path / "b", 90)
    cli_gap.gap(a, b, SIZE, folder=tmp_path / "out")
    with open(tmp_path / "out" / "channels.csv", newline="") as file:
        shares = [(int(line["channel"]), float(line["per_cent"])) for line in csv.DictReader(file)]
    assert sum(share for _, share in shares) == pytest.approx(100)
    assert [share for _, share in shares] == sorted((share for _, share in shares), reverse=True)
    page = (tmp_path / "out" / "gap.html").read_text()
    assert f" {shares[0][0]} ({gap_page.figure(shares[0][1])} %)," in page
    assert "the squared MMD of a Gaussian kernel" in page, "what a distance is"


def test_a_stretch_that_nobody_asked_for_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = folder(tmp_path / "a", 0), folder(tmp_path / "b", 90, size=(64, 36))
    quick = ["gap.resamples=10"]
    cli_gap.gap(a, b, [*quick, *SIZE], folder=tmp_path / "out")
    assert "another shape" not in capsys.readouterr().err
    cli_gap.gap(a, b, quick, folder=tmp_path / "out")
    said = capsys.readouterr().err
    assert "a's pictures of 32x24 are brought to 256x144, another shape: picture.width=192 keeps theirs." in said
    assert "b's pictures" not in said


def test_a_format_that_is_named_is_not_guessed(tmp_path: Path) -> None:
    a, b = folder(tmp_path / "a", 0), folder(tmp_path / "b" / "pictures", 90).parent
    (b / "labels.csv").write_text("file,angle\n")  # of another format, as far as can be seen
    with pytest.raises(DataError, match=r"labels\.csv has no column"):
        cli_gap.gap(a, b, SIZE, folder=tmp_path / "out")
    for named in (["b.dataset=images"], ["b.dataset.name=images", "b.dataset.select=pictures"]):
        cli_gap.gap(a, b, [*SIZE, *named], folder=tmp_path / "out")
        assert readings(tmp_path / "out")["cmmd_before"]["pictures_b"] == "24"


def test_a_line_says_whether_a_gap_is_left() -> None:
    def line(before: float, after: float, high: float = 1.0) -> gap_page.Line:
        wide = [Measure(value, value - 0.5, value + 0.5) for value in (before, after)]
        return gap_page.Line("cmmd", "", *wide, None, Measure(0.5, 0.0, high))

    assert (line(5, 3).verdict, line(5, 3).left) == ("a gap", "a gap is left")
    assert line(5, 1.2).left == "none shown to be left"
    assert (line(1.2, 1.1).verdict, line(1.2, 1.1).left) == ("no gap shown", "")
    assert line(5, 3, float("nan")).verdict == "too few to tell"


def test_a_ranking_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.csv").write_text("task,policy,simulated,real\nt,a,1,.9\nt,b,2,.5\nt,c,3,.1\n")
    cli_gap.ranking(tmp_path / "s.csv", csv=tmp_path / "found.csv")
    with open(tmp_path / "found.csv", newline="") as file:
        (line,) = csv.DictReader(file)
    assert float(line["pearson"]) == pytest.approx(-1) and float(line["mmrv"]) == pytest.approx(2 / 3)
    assert "0.667" in capsys.readouterr().out
