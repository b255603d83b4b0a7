"""Studies in which bridges are learned, measured, and used by other arms."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from causeway import (
    config,
    findings,
    finished,
    gallery,
    gap_page,
    judges,
    parts,
    progress,
    readings,
    report,
    results,
    run,
    running,
    splits,
    study,
)
from causeway.bridges import colors, recorded, style
from causeway.errors import ConfigError, DataError, MissingExtra
from causeway.evaluate import Measure
from causeway.results import Row
from test_run import WITHOUT_METHOD, file, recordings  # noqa: F401

SIDES = """
[gap]
resamples = 20
stretch_s = 0.5
"""
POLICY = 'method = { name = "imitation", batch = 8, target_weight = 0.0, policy = { name = "cnn", channels = [8, 8] } }'
STUDY = f"""
{WITHOUT_METHOD}
baseline = "plain"
{SIDES}
[arms.plain]
{POLICY}
[arms.none]
method = {{ name = "translation", bridge = "identity" }}
[arms.painted]
method = {{ name = "translation", bridge = {{ name = "colors", pictures = 20 }} }}
[arms.crossed]
{POLICY}
source.through = "painted"
[arms.driven]
{POLICY}
target.through = "back"
[arms.back]
method = {{ name = "translation", bridge = {{ name = "colors", pictures = 20 }}, to = "source" }}
"""


@pytest.fixture
def planned(file: Path, tmp_path: Path, recordings: Path) -> study.Study:  # noqa: F811
    file.write_text(STUDY)
    return study.plan(file, tmp_path / "s", (), recordings, tmp_path / "cache")


def of(planned: study.Study, arm: str) -> run.Run:
    return next(p.run for p in planned.runs if p.arm == arm)


def test_no_memory_to_begin_with_names_what_to_lower(planned: study.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(colors.Colors, "calibrate", full)
    with pytest.raises(ConfigError, match=r"No memory to train: lower method\.batch"):
        running.work(of(planned, "painted"))


def test_bridges_are_learned_before_the_arms_that_use_them(planned: study.Study, tmp_path: Path) -> None:
    assert study.carry_out(planned, arms=["crossed", "driven", "none"]) == []
    assert {p.arm for p in planned.runs if p.run.tested} == {"painted", "back", "crossed", "driven", "none"}
    assert of(planned, "painted").measured and not of(planned, "painted").driven and of(planned, "crossed").driven
    source, _ = running.domains(of(planned, "crossed"))
    plain, target = running.domains(of(planned, "painted"))
    rows = source.labelled.rows
    means = [side.mean((0, 3, 4)).ravel() for side in (source.labelled.frames[rows], plain.labelled.frames[rows])]
    aim = target.unlabelled.frames[target.unlabelled.rows].mean((0, 3, 4)).ravel()
    assert np.abs(means[0] - aim).max() < 2 < np.abs(means[1] - aim).max() + 2
    assert np.array_equal(source.tune.actions, plain.tune.actions), "actions are those that were shown"
    driven = of(planned, "driven").folder
    assert isinstance(finished.deploy(of(planned, "driven")).bridge, colors.Colors)
    taken = tmp_path / "robot" / "driven"
    taken.mkdir(parents=True)
    for name in ("config.toml", "part.safetensors", "bridge"):  # all that a robot needs
        copy = shutil.copytree if (driven / name).is_dir() else shutil.copyfile
        copy(driven / name, taken / name)
    assert isinstance(finished.deploy(run.open_run(taken)).bridge, colors.Colors)
    shown, redrawn = (running.domains(of(planned, "driven"), shown=shown)[1].tune.frames for shown in (True, False))
    assert not np.array_equal(shown, redrawn), "an agent is shown what its camera sees"

    rows_ = results.table(planned, planned.metrics)
    found = {(row.arm, row.metric): row for row in rows_}
    files = [of(planned, "painted").folder / name for name in ("part.safetensors", "config.toml")]
    assert files[0].stat().st_mode == files[1].stat().st_mode, "who may read one may read the other"
    left = found["painted", "cmmd"]
    assert left.direction == "lower" and left.unit == "x1000" and left.seeds == 1 and left.against is None
    assert found["none", "edges_changed"].measure.value == pytest.approx(0, abs=1e-6)
    assert ("crossed", "cmmd") not in found and ("crossed", "mae") in found
    assert not any(row.metric.endswith(("_before", "_floor")) for row in rows_)
    results.write_csv(rows_, tmp_path / "r.csv")
    report.write(planned, rows_, tmp_path / "page.html")


def test_a_bridge_is_compared_with_the_baseline_on_the_same_halves(
    file: Path,  # noqa: F811
    tmp_path: Path,
    recordings: Path,  # noqa: F811
) -> None:
    file.write_text(STUDY.replace('baseline = "plain"', 'baseline = "none"'))
    made = study.plan(file, tmp_path / "s", ["seeds=[0,1]"], recordings, tmp_path / "cache")
    assert study.carry_out(made, arms=["none", "painted"]) == []
    found: dict[tuple[str, str], Row] = {(row.arm, row.metric): row for row in results.table(made, made.metrics)}
    row = found["painted", "edges_changed"]
    assert row.against and row.against.value == pytest.approx(row.measure.value) and row.seeds == 2
    assert row.verdict == "worse" and len(row.by_seed) == 2 and found["none", "edges_changed"].against is None


def test_a_bridge_is_measured_again_by_other_settings_and_not_learned_again(
    planned: study.Study,
    file: Path,  # noqa: F811
    tmp_path: Path,
    recordings: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "SAID", set())
    assert study.carry_out(planned, arms=["crossed"]) == []
    made = of(planned, "painted").folder / "part.safetensors"
    before, kept = made.stat().st_mtime_ns, made.parent / "config.toml"
    settings = kept.read_text()
    other = study.plan(file, tmp_path / "s", ["gap.pictures=7"], recordings, tmp_path / "cache")
    assert of(other, "crossed").tested and not of(other, "painted").tested and of(planned, "painted").tested
    assert study.carry_out(other, arms=["crossed"]) == []
    found = readings.load(of(other, "painted").folder / "gap.npz")
    assert found.counts == (7, 7) and made.stat().st_mtime_ns == before and kept.read_text() == settings
    assert of(other, "painted").tested and not of(planned, "painted").tested
    assert capsys.readouterr().err.count("painted-s0 was measured by other [gap] settings, and is measured again") == 1
    silent = report._silent(planned, [], [], [p.arm for p in planned.runs])
    assert ("painted", "", "no number: measured by other [gap] settings; causeway run measures it again") in silent
    readings.save(made.parent / "gap.npz", found._replace(asked=""))  # as an earlier version did, without a setting
    kept.write_text("".join(line for line in settings.splitlines(True) if "pictures = 1000" not in line))
    assert of(planned, "painted").measured and not of(other, "painted").measured


def test_the_encoder_that_judged_what_was_learned_from_stays(
    file: Path,  # noqa: F811
    tmp_path: Path,
    recordings: Path,  # noqa: F811
) -> None:
    file.write_text(
        STUDY.replace('source.through = "painted"', 'source = { through = "painted", validator = "edges" }')
    )
    judged = study.plan(file, tmp_path / "s", (), recordings, tmp_path / "cache")
    other = ["gap.encoder=squeezenet", "gap.encoder.weights=w"]
    again = study.plan(file, tmp_path / "s", other, recordings, tmp_path / "cache")
    with pytest.raises(ConfigError, match=r"gap.encoder.name: pixels there, squeezenet now"):
        run.refuse_other_settings(of(again, "crossed"), of(judged, "crossed").tree)
    run.refuse_other_settings(of(again, "plain"), of(judged, "plain").tree)


TAKEN = f"""
[arms.held]
start = "painted"
train.steps = 0
method = {{ name = "translation", bridge = {{ name = "steady", bridge = {{ name = "colors", pictures = 20 }} }} }}
[arms.behind]
start = "plain"
train.steps = 0
target.through = "back"
{POLICY}
"""


def test_what_another_run_left_is_taken_as_it_is(file: Path, tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    file.write_text(STUDY + TAKEN)
    made = study.plan(file, tmp_path / "s", (), recordings, tmp_path / "cache")
    assert study.carry_out(made, arms=["held", "behind"]) == []
    for taken, left, inner in (("held", "painted", "inner."), ("behind", "plain", "")):
        one, other = (load_file(of(made, arm).folder / "part.safetensors") for arm in (taken, left))
        assert one.keys() == {inner + name for name in other}
        assert all(torch.equal(one[inner + name], value) for name, value in other.items())
    plain, behind = (of(made, arm).traces[0].actions for arm in ("plain", "behind"))
    assert not np.array_equal(plain, behind), "the camera's pictures are redrawn"


def test_a_library_that_is_missing_is_told_before_anything_is_learned(
    file: Path,  # noqa: F811
    tmp_path: Path,
    recordings: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file.write_text(STUDY + TAKEN)
    made = study.plan(file, tmp_path / "s", (), recordings, tmp_path / "cache")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtra, match=r"opencv-python-headless"):
        study.carry_out(made, arms=["held"])
    assert not of(made, "painted").begun


def test_what_others_redrew_is_read_again_where_it_changed(
    planned: study.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.carry_out(planned, arms=["painted"])
    folder = of(planned, "painted").folder
    assert finished.word_of(folder) == parts.digest(folder) and finished.files_of(None) == [], "these name no files"
    after = tmp_path / "after"
    after.mkdir()
    (after / "0.png").write_text("one")
    (tmp_path / "style").mkdir()
    (tmp_path / "style" / "x").touch()
    monkeypatch.chdir(tmp_path)
    assert finished.files_of(style.Config()) == [], "the name of a component is no folder"
    settings = recorded.Config(before=str(after), after=str(after))
    first = finished.files_of(settings)
    (after / "0.png").write_text("another")
    assert len(first) == 1 and finished.files_of(settings) != first


def test_what_redraws_must_be_a_bridge_and_what_drives_a_policy(planned: study.Study) -> None:
    study.carry_out(planned, arms=["plain", "painted"])
    with pytest.raises(ConfigError, match="plain-s0 holds a Convolutional, which redraws nothing"):
        finished.bridge_of(of(planned, "plain").folder)
    with pytest.raises(ConfigError, match="painted-s0 holds a Colors, which cannot drive"):
        finished.deploy(of(planned, "painted"))


def test_a_policy_says_which_redrawn_pictures_stay(
    file: Path,  # noqa: F811
    tmp_path: Path,
    recordings: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file.write_text(STUDY)
    monkeypatch.setattr(judges, "LEVEL", 0.0)  # next to nothing may change
    made = study.plan(file, tmp_path / "s", ["arms.crossed.source.witness=plain"], recordings, tmp_path / "cache")
    study.carry_out(made, arms=["crossed"])
    assert of(made, "plain").tested, "who is asked is trained first"
    said = capsys.readouterr().err
    redrawn, own = (running.domains(of(made, arm))[0].unlabelled.frames for arm in ("crossed", "painted"))
    stayed = (redrawn == own).all((1, 2, 3, 4))
    assert 0 < stayed.sum() < len(own)
    assert f"{stayed.sum()} of {len(own)} redrawn moments changed too much and stay as they were" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "arms.crossed.source.through=pianted",
            "source.through: there is no arm or run 'pianted'",
        ),
        ("arms.crossed.source.through=crossed", "source.through names the arm itself"),
        ("arms.painted.source.through=driven", "source.through = 'driven' leaves no bridge to the target"),
        ("arms.crossed.source.through=back", "leaves no bridge to the target. Name an arm"),
        ("arms.driven.target.through=painted", 'to = "source"'),
        (
            'arms.none={method={name="distillation"},start="plain"}',
            "start = 'plain' is no teacher: it leaves no bridge to the target. Say whose",
        ),
        ('arms.none={method={name="distillation"},start="back"}', "it leaves no bridge to the target"),
        ("arms.driven.bridge=noise", "target.through and bridge both redraw"),
        ("arms.plain.source.validator=edges", "validator judges what is redrawn: name what redraws"),
        ("arms.plain.source.witness=driven", "witness judges what is redrawn: name what redraws"),
        ("arms.crossed.source.witness=painted", "source.witness = 'painted' leaves no policy"),
    ],
)
def test_arms_that_cannot_be_crossed(change: str, said: str, file: Path, tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    file.write_text(STUDY)
    with pytest.raises(ConfigError, match=said):
        study.plan(file, tmp_path / "s", [change], recordings, tmp_path / "cache")


def test_a_folder_that_leaves_no_policy_is_told_before_anything_begins(
    planned: study.Study,
    file: Path,  # noqa: F811
    tmp_path: Path,
    recordings: Path,  # noqa: F811
) -> None:
    study.carry_out(planned, arms=["painted"])
    wrong = [f"arms.crossed.source.witness={of(planned, 'painted').folder}"]
    with pytest.raises(ConfigError, match="leaves no policy"):
        study.plan(file, tmp_path / "t", wrong, recordings, tmp_path / "cache")


def test_arms_that_measured_other_things_are_not_subtracted(file: Path, tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    file.write_text(STUDY.replace('baseline = "plain"', 'baseline = "none"'))
    made = study.plan(file, tmp_path / "s", ["arms.painted.gap.resamples=30"], recordings, tmp_path / "cache")
    assert study.carry_out(made, arms=["none", "painted"]) == []
    found = {(row.arm, row.metric): row for row in results.table(made, made.metrics)}
    assert found["painted", "edges_changed"].against is None and found["painted", "edges_changed"].verdict == ""


def test_a_difference_is_of_all_seeds_or_of_none(file: Path, tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    file.write_text(STUDY.replace('baseline = "plain"', 'baseline = "none"'))
    made = study.plan(file, tmp_path / "s", ["seeds=[0,1]"], recordings, tmp_path / "cache")
    assert study.carry_out(made, arms=["none", "painted"]) == []
    other = next(p.run.folder for p in made.runs if p.run.folder.name == "painted-s1") / "gap.npz"
    for word, known in (("", True), ("another", False)):
        report = readings.load(other)
        readings.save(other, report._replace(word=word or report.word))
        found = {(row.arm, row.metric): row for row in results.table(made, made.metrics)}
        assert (found["painted", "edges_changed"].against is not None) == known


def test_a_study_whose_bridges_stand_at_other_points_has_a_page(
    file: Path,  # noqa: F811
    tmp_path: Path,
    recordings: Path,  # noqa: F811
) -> None:
    file.write_text(STUDY)
    changes = ['arms.painted.sweep={"method.bridge.pictures"=[10,20]}', "arms.crossed.source.through="]
    made = study.plan(file, tmp_path / "s", changes, recordings, tmp_path / "cache")
    assert study.carry_out(made, arms=["plain", "painted"]) == []
    rows = results.table(made, made.metrics)
    report.write(made, rows, tmp_path / "page.html")
    assert "pictures=10" in (tmp_path / "page.html").read_text()


def test_pictures_stand_by_what_they_were_before(
    planned: study.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.carry_out(planned, arms=["none", "painted", "back"])
    groups = {each.side: each for each in gallery.crossed(planned, findings.arms(planned))}
    assert {side: set(group.arms) for side, group in groups.items()} == {
        "source": {"none", "painted"},
        "target": {"back"},
    }
    assert groups["source"].arms["none"] == groups["source"].before != groups["source"].arms["painted"]
    report.write(planned, results.table(planned, planned.metrics), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "the source, as it was" in page and "the target, as it was" in page
    assert "The gap that is to be closed" in page and page.count('<span class="verdict">') >= 5
    assert "half-sampling of pictures" in page and "stretches" not in page.lower()
    assert "pictures say little of a domain" in page and "Seen by pixels 6x8, no network: colours" in page
    for shown, high in (("a gap", 0.4), ("no gap shown", 0.6)):
        monkeypatch.setattr(gap_page.Line, "verdict", shown)
        rows = [
            row._replace(measure=Measure(high, 0.0, 1.0)) if row.metric == "edges_changed" else row
            for row in results.table(planned, planned.metrics)
        ]
        report.write(planned, rows, tmp_path / "page.html")
        page = (tmp_path / "page.html").read_text()
        assert [each in page for each in ("By cmmd no gap is shown", "Edges of none")] == [high > 0.5] * 2
    monkeypatch.setattr(splits, "told", lambda folder: {"source": "another word"})
    with pytest.raises(DataError, match="a page with its pictures needs those of before"):
        gallery.crossed(planned, findings.arms(planned))


def test_another_bridge_redraws_anew(planned: study.Study, file: Path, tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    study.carry_out(planned, arms=["painted"])
    first = running.domains(of(planned, "crossed"))[0].labelled.frames
    other = study.plan(
        file, tmp_path / "t", ["arms.painted.method.bridge.by=histogram"], recordings, tmp_path / "cache"
    )
    study.carry_out(other, arms=["painted"])
    assert not np.array_equal(running.domains(of(other, "crossed"))[0].labelled.frames, first)


def test_several_validators_may_judge(
    file: Path,  # noqa: F811
    tmp_path: Path,
    recordings: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = 'source = { through = "painted", validator = [{ name = "edges", tolerance = 0.02 }, "perceptual"] }'
    file.write_text(STUDY.replace('source.through = "painted"', asked))
    planned = study.plan(file, tmp_path / "s", (), recordings, tmp_path / "cache")
    crossed = of(planned, "crossed")
    assert [type(each).__module__.rsplit(".", 1)[-1] for each in crossed.experiment.source.validator] == [
        "edges",
        "perceptual",
    ]
    assert crossed.tree["source"]["validator"][0] == {"name": "edges", "most": 0.0, "tolerance": 0.02}
    assert run.build(crossed.tree, crossed.folder, recordings, tmp_path / "cache").tree == crossed.tree
    assert study.carry_out(planned, arms=["crossed"]) == []
    said = capsys.readouterr().err
    assert re.search(r"stay as they were \(\d+ by edges above [\d.]+, \d+ by perceptual above [\d.]+\)", said)
    again = study.plan(file, tmp_path / "s", (), recordings, tmp_path / "cache")
    run.refuse_other_settings(of(again, "crossed"), config.load(crossed.folder / "config.toml"))
    for change, sentence in (
        ('source.validator=["edgse"]', "edgse.*Did you mean 'edges'"),
        ('gap.encoder=["pixels", "squeezenet"]', r"gap\.encoder"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            study.plan(file, tmp_path / "s", [f"arms.crossed.{change}"], recordings, tmp_path / "cache")
