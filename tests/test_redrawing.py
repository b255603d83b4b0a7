"""``causeway redraw``: datasets in another look that keep actions, state and time."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from causeway import cli_gap, finished, redraw, redrawing, study
from causeway.bridges import conditions
from causeway.cache import Crop
from causeway.data import Moments
from causeway.datasets import lerobot
from causeway.errors import ConfigError, DataError
from causeway.redrawing import conditions as words
from test_run import file, recordings  # noqa: F401
from test_run_bridges import STUDY, of

SIZE = ["picture.height=32", "picture.width=48"]


def read(folder: Path) -> lerobot.LeRobot:
    return lerobot.Config(str(folder)).build()


def test_every_episode_once_for_each_condition(tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    out = tmp_path / "out"
    cli_gap.redraw(recordings / "source", out, bridge="conditions", vary=["weather=rain,fog+night", "time=night"])
    before, after = read(recordings / "source"), read(out)
    assert [episode.name for episode in after.episodes[:4]] == ["0 rain", "1 rain", "2 rain", "0 fog+night"]
    assert len(after.episodes) == 9
    for number, episode in enumerate(after.episodes):
        own = before.episodes[number % 3]
        assert np.array_equal(episode.actions, own.actions) and np.array_equal(episode.time_s, own.time_s)  # type: ignore[arg-type]
    plain = next(before.frames(0))[0]
    looks = [next(after.frames(number))[0] for number in (0, 3, 6)]
    made = conditions.Config("night").build()
    import torch

    expected = made(torch.from_numpy(plain.transpose(2, 0, 1).copy())[None, None])[0, 0].numpy().transpose(1, 2, 0)
    assert np.array_equal(looks[2], expected) and not np.array_equal(looks[0], looks[1])
    assert looks[1].mean() < looks[0].mean(), "fog at night is darker than rain by day"


def test_the_first_episodes_alone(tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    cli_gap.redraw(recordings / "source", tmp_path / "all", bridge="conditions", vary=["weather=rain"])
    cli_gap.redraw(recordings / "source", tmp_path / "two", ["episodes=2"], bridge="conditions", vary=["weather=rain"])
    every, two = read(tmp_path / "all"), read(tmp_path / "two")
    assert [episode.name for episode in two.episodes] == ["0 rain", "1 rain"]
    for number, episode in enumerate(two.episodes):
        assert np.array_equal(episode.actions, every.episodes[number].actions)  # type: ignore[arg-type]
        assert all(np.array_equal(a, b) for a, b in zip(two.frames(number), every.frames(number), strict=True))
    for asked, said in (("4", r"asks for 4, but there are only 3"), ("0", "asks for 0: 1 is the fewest")):
        with pytest.raises(DataError, match=rf"^\[dataset\] episodes {said}"):
            cli_gap.redraw(recordings / "source", tmp_path / "no", [f"episodes={asked}"], bridge="identity")


def test_pictures_keep_their_size_unless_another_is_asked_for(tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    own = next(read(recordings / "source").frames(0)).shape[1:3]
    for number, (asked, expected) in enumerate(
        (
            (["bridge=identity"], own),
            (["crop.top=0.5", "bridge=identity"], (own[0] // 2, own[1])),
            (["crop.bottom=0.1", "bridge=identity"], (29, own[1])),
            (["picture.height=16", "picture.width=20", "bridge=identity"], (16, 20)),
        )
    ):
        out = tmp_path / str(number)
        cli_gap.redraw(recordings / "source", out, asked, bridge="identity")
        assert next(read(out).frames(0)).shape[1:3] == expected


def test_by_a_run_at_its_size(file: Path, tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    file.write_text(STUDY)
    planned = study.plan(file, tmp_path / "s", (), recordings, tmp_path / "cache")
    study.carry_out(planned, arms=["painted"])
    painted = of(planned, "painted").folder
    cli_gap.redraw(recordings / "source", tmp_path / "out", bridge=str(painted))
    bridge = finished.bridge_of(painted)
    import torch

    plain = next(read(recordings / "source").frames(1))[0]
    expected = bridge(torch.from_numpy(plain.transpose(2, 0, 1).copy())[None, None])[0, 0].numpy().transpose(1, 2, 0)
    assert np.array_equal(next(read(tmp_path / "out").frames(1))[0], expected)
    with pytest.raises(ConfigError, match=r"picture and crop: .* says its own"):
        cli_gap.redraw(recordings / "source", tmp_path / "other", ["picture.height=20"], bridge=str(painted))
    with pytest.raises(ConfigError, match=r"this bridge knows no 'fog'. It knows none"):
        cli_gap.redraw(recordings / "source", tmp_path / "other", bridge=str(painted), vary=["weather=fog"])
    for key in ("name=noise", "condition=rain", "batch=1"):
        with pytest.raises(ConfigError, match=r"bridge\..* redraws as it was trained\. None may differ"):
            cli_gap.redraw(recordings / "source", tmp_path / "other", [f"bridge.{key}"], bridge=str(painted))


def test_conditions_that_do_not_go_together_are_told_before_anything_is_redrawn(
    tmp_path: Path,
    recordings: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def vary(self: conditions.Conditions, *words: str) -> None:
        if len(words) > 1:
            raise ConfigError("they do not")

    monkeypatch.setattr(conditions.Conditions, "vary", vary)
    with pytest.raises(ConfigError, match="they do not"):
        cli_gap.redraw(recordings / "source", tmp_path / "out", bridge="conditions", vary=["weather=fog,fog+night"])
    assert not (tmp_path / "cache").exists()


def test_stopped_half_way_the_same_command_goes_on(
    tmp_path: Path,
    recordings: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    drawn: list[int] = []
    plain = conditions.Conditions.forward

    def failing(self: conditions.Conditions, images: object) -> object:
        if len(drawn) == 4:
            raise KeyboardInterrupt
        drawn.append(1)
        return plain(self, images)  # type: ignore[arg-type]

    monkeypatch.setattr(conditions.Conditions, "forward", failing)
    with pytest.raises(KeyboardInterrupt):
        cli_gap.redraw(recordings / "source", tmp_path / "out", SIZE, bridge="conditions")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(conditions.Conditions, "forward", plain)
    count: list[int] = []
    monkeypatch.setattr(redraw, "CHUNK", redraw.CHUNK)
    monkeypatch.setattr(
        conditions.Conditions, "forward", lambda self, images: count.append(len(images)) or plain(self, images)
    )
    capsys.readouterr()
    cli_gap.redraw(recordings / "source", tmp_path / "out", SIZE, bridge="conditions")
    printed = capsys.readouterr()
    assert printed.out.endswith(" frames, in fog.\n"), "of the bridge's own setting"
    assert " of 120 moments were redrawn before: going on." in printed.err
    assert len(read(tmp_path / "out").episodes) == 3 and 0 < sum(count) < 120


def test_what_was_cut_when_it_was_redrawn_is_compared_cut_alike(tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    sides, out = (recordings / "source", recordings / "target"), tmp_path / "out"
    cli_gap.redraw(sides[0], out, ["crop.top=0.5"], bridge="identity")
    sized = ["gap.resamples=10", "gap.pictures=20", *SIZE]
    cli_gap.gap(*sides, sized, through=out, folder=tmp_path / "alike")
    cli_gap.gap(*sides, [*sized, "a.crop.top=0.1"], through=out, folder=tmp_path / "otherwise")
    changed = []
    for name in ("alike", "otherwise"):
        with open(tmp_path / name / "gap.csv", newline="") as lines:
            changed += [float(line["value"]) for line in csv.DictReader(lines) if line["number"] == "edges_changed"]
    assert changed[0] == pytest.approx(0, abs=1e-6) and changed[1] > 0.1, "what is said is done"


def test_which_moments_stayed_is_told_by_episode(
    tmp_path: Path,
    recordings: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def some(judges: object, moments: Moments, after: object) -> np.ndarray:
        return np.isin(moments.rows, [3, 41, 79, 80])[:, None]

    monkeypatch.setattr(redraw, "lost", some)
    cli_gap.redraw(recordings / "source", tmp_path / "out", ["validator=edges"], bridge="conditions")
    told = json.loads((tmp_path / "out" / redrawing.ABOUT).read_text())
    assert told["stayed"] == {"0": [3], "1": [1, 39], "2": [0]}


def test_both_sides_are_cut_as_a_run_cut_them(file: Path, tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    crops = ["source.crop.top=0.25", "target.crop.top=0.5"]
    file.write_text(STUDY)
    planned = study.plan(file, tmp_path / "s", crops, recordings, tmp_path / "cache")
    study.carry_out(planned, arms=["painted"])
    cli_gap.redraw(recordings / "source", tmp_path / "out", bridge=str(of(planned, "painted").folder))
    assert redrawing.cuts(tmp_path / "out") == (Crop(top=0.25), Crop(top=0.5))
    assert redrawing.cuts(recordings / "source") is None


def test_what_was_removed_of_a_cache_is_redrawn(tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    outs = [tmp_path / "one", tmp_path / "two", tmp_path / "three"]
    for out in outs:
        cli_gap.redraw(recordings / "source", out, SIZE, bridge="conditions")
        for file_ in (tmp_path / "cache").glob("*.redrawn" if out == outs[0] else "*.stayed"):
            file_.unlink()
    for one, two, three in zip(*(read(out).frames(0) for out in outs), strict=True):
        assert np.array_equal(one, two) and np.array_equal(one, three)


def test_what_it_wrote_is_compared_and_a_bridge_given_its_own_look_is_told(
    file: Path,  # noqa: F811
    tmp_path: Path,
    recordings: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    file.write_text(STUDY)
    planned = study.plan(file, tmp_path / "s", (), recordings, tmp_path / "cache")
    study.carry_out(planned, arms=["painted"])
    painted, out = of(planned, "painted").folder, tmp_path / "out"
    sides, quick = (recordings / "source", recordings / "target"), ["gap.resamples=10", "gap.pictures=20"]
    cli_gap.redraw(sides[0], out, bridge=str(painted))
    sized = [*quick, "picture.height=32", "picture.width=48"]
    cli_gap.gap(*sides, sized, through=out, folder=tmp_path / "by_what_it_wrote")
    page = (tmp_path / "by_what_it_wrote" / "gap.html").read_text()
    assert "48 × 32" in page and "by_what_it_wrote" not in page and "through out" in page
    assert "already has" not in capsys.readouterr().err
    cli_gap.gap(*sides[::-1], quick, through=painted, folder=tmp_path / "other")
    said = capsys.readouterr().err
    assert f"gives pictures the look of {sides[1]}, which a already has" in said and "learned from" not in said
    cli_gap.gap(*sides, quick, through=painted, folder=tmp_path / "own")
    assert f"{painted} learned from {sides[0]}, all or in part" in capsys.readouterr().err


def test_a_run_s_bridge_is_judged_as_the_run_sees_and_by_the_limit_that_is_told(
    file: Path,  # noqa: F811
    tmp_path: Path,
    recordings: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file.write_text(STUDY)
    eyes = ["gap.encoder={ name = 'pixels', rows = 3, columns = 2 }"]
    planned = study.plan(file, tmp_path / "s", eyes, recordings, tmp_path / "cache")
    study.carry_out(planned, arms=["painted"])
    painted, looked = of(planned, "painted").folder, []
    plain = finished.judges_of
    monkeypatch.setattr(finished, "judges_of", lambda *named: looked.append(named[1]) or plain(*named))
    for number, (setting, stays) in enumerate((("{ name = 'edges', most = 1e-9 }", "120"), ("edges", "0"))):
        cli_gap.redraw(recordings / "source", tmp_path / str(number), [f"validator={setting}"], bridge=str(painted))
        said = capsys.readouterr().err
        assert f"{stays} of 120 redrawn moments changed too much" in said
        told = json.loads((tmp_path / str(number) / redrawing.ABOUT).read_text())
        assert told["stayed"] == ({} if number else {str(n): list(range(40)) for n in range(3)})
        assert told["judges"] == ["edges"]
        assert told["bridge"] == str(painted) and "Validators see by" not in said, "edges are seen without an encoder"
    cli_gap.redraw(recordings / "source", tmp_path / "by_eye", ["validator=structure"], bridge=str(painted))
    assert "Validators see by pixels" in capsys.readouterr().err
    assert (looked[0].rows, looked[0].columns) == (3, 2)
    own = ["validator=edges", "gap.encoder.name=pixels", "gap.encoder.rows=5"]
    cli_gap.redraw(recordings / "source", tmp_path / "own", own, bridge=str(painted))
    assert looked[-1].rows == 5


def test_pictures_cut_otherwise_than_a_policy_knows_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = [SimpleNamespace(crop=Crop()), SimpleNamespace(crop=Crop(top=0.5))]
    e = SimpleNamespace(experiment=SimpleNamespace(source=sides[0], target=sides[1]))
    monkeypatch.setattr(finished, "open_run", lambda folder: e)
    for crop in (Crop(), Crop(top=0.5)):
        finished.tell_another_crop(Path("cut"), crop, "these are")
    assert not capsys.readouterr().err
    finished.tell_another_crop(Path("cut"), Crop(top=0.2), "these are")
    assert "cut was trained on pictures cut by Crop(top=0.5" in capsys.readouterr().err


def test_another_version_of_a_bridge_redraws_anew(moments: Callable[..., Moments], tmp_path: Path) -> None:
    class Newer(conditions.Conditions):
        version = 7

    made, newer = conditions.Config().build(), Newer(conditions.Config())
    for bridge, files in ((made, 1), (made, 1), (newer, 2)):
        redraw.kept(bridge, moments(4), tmp_path, "word")
        assert len(list(tmp_path.glob("*.redrawn"))) == files


def test_folders_that_hold_no_bridge(tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    (tmp_path / "study" / "one").mkdir(parents=True)
    (tmp_path / "study" / "one" / "config.toml").touch()
    with pytest.raises(ConfigError, match=r"study is not a run: .* It holds the runs one\."):
        cli_gap.redraw(recordings / "source", tmp_path / "out", bridge=str(tmp_path / "study"))
    with pytest.raises(ConfigError, match=r"nothing is not a run: there is no such folder\."):
        cli_gap.redraw(recordings / "source", tmp_path / "out", bridge=str(tmp_path / "nothing"))


def test_what_cannot_be_redrawn(tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    source = recordings / "source"
    for place in (source, source / "inside", recordings):
        with pytest.raises(DataError, match="is the dataset itself, or lies in it, or holds it"):
            cli_gap.redraw(source, place, SIZE, bridge="conditions")
    with pytest.raises(ConfigError, match=r"^redraw has no setting 'limit'\. Known: bridge, crop, dataset"):
        cli_gap.redraw(source, tmp_path / "out", ["limit=2"], bridge="conditions")
    with pytest.raises(ConfigError, match="Say what redraws"):
        cli_gap.redraw(source, tmp_path / "out")
    with pytest.raises(ConfigError, match="that one has to be learned"):
        cli_gap.redraw(source, tmp_path / "out", SIZE, bridge="colors")
    with pytest.raises(ConfigError, match="No bridge is called 'weahter'"):
        cli_gap.redraw(source, tmp_path / "out", SIZE, bridge="weahter")
    with pytest.raises(ConfigError, match=r"The cache .*inside lies in the recordings .*source: name another"):
        cli_gap.redraw(source, tmp_path / "out", SIZE, bridge="conditions", cache=source / "inside")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(DataError, match="already exists"):
        cli_gap.redraw(source, tmp_path / "full", SIZE, bridge="conditions")


def test_sets_of_conditions() -> None:
    assert words(["weather=rain,fog", "time=night", "weather=rain"]) == ("rain", "fog", "night")
    assert words(["weather=rain,rain+night+winter"]) == ("rain", "rain+night+winter")
    with pytest.raises(ConfigError, match=r"there is no condition 'nihgt'. Did you mean 'night'"):
        words(["weather=rain+nihgt"])
    with pytest.raises(ConfigError, match=r"there is no weather 'night'"):
        words(["weather=night+rain"])
    assert words(["season"]) == ("spring", "summer", "autumn", "winter") and words([]) == ()
    with pytest.raises(ConfigError, match=r"there is no set 'wether'. Did you mean 'weather'"):
        words(["wether=rain"])
    with pytest.raises(ConfigError, match=r"there is no weather 'rian'. Did you mean 'rain'"):
        words(["weather=rian"])
