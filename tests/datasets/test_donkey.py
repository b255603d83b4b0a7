import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from causeway.datasets.donkey import Config, recognises
from causeway.errors import ConfigError, DataError
from recordings import picture, write_csv, write_tub1, write_tub2

ROWS = [f"{i}.png,lap,{i},{i * 100},{i / 100},0.5" for i in range(6)]


def faults(root: Path) -> list[str]:
    """What ``causeway check`` would print; that building refuses it is part of every test of a bad input."""
    dataset = Config(str(root)).read()
    if dataset.faults:
        with pytest.raises(DataError, match=r"Run: causeway check"):
            Config(str(root)).build()
    return list(dataset.problems())


def test_labels_csv_is_read_and_pictures_come_in_order(tmp_path: Path) -> None:
    dataset = Config(str(write_csv(tmp_path, ROWS))).build()
    assert recognises(tmp_path)
    assert [episode.name for episode in dataset.episodes] == ["lap/0000"]
    assert dataset.rate_hz == 10
    np.testing.assert_allclose(dataset.episodes[0].actions[:, 0], np.arange(6) / 100, atol=1e-7)
    np.testing.assert_allclose(dataset.episodes[0].time_s, np.arange(6) / 10)
    frames = list(dataset.frames(0, start=2))
    assert len(frames) == 4 and frames[0].shape == (1, 24, 32, 3)
    np.testing.assert_array_equal(frames[0][0], picture(len(ROWS[2])))
    assert list(dataset.problems()) == []


def test_episodes_are_cut_at_gaps_steps_back_blocks_and_sets(tmp_path: Path) -> None:
    head = "file,set,block,index,timestamp_ms,angle,throttle,session"
    times = [("t1", 0, 0), ("t1", 0, 50), ("t1", 0, 2000), ("t1", 0, 1990), ("t1", 1, 2040), ("t3", 1, 2090)]
    rows = [f"{i}.png,{s},{b},{i},{t},0,0,one" for i, (s, b, t) in enumerate(times)]
    dataset = Config(str(write_csv(tmp_path, rows, head))).build()
    names = ["t1/0/0000", "t1/0/0001", "t1/0/0002", "t1/1/0000", "t3/1/0000"]
    assert [episode.name for episode in dataset.episodes] == names
    assert [len(episode) for episode in dataset.episodes] == [2, 1, 1, 1, 1]
    assert len(Config(str(tmp_path), gap_s=3).build().episodes) == 4


def test_select_takes_whole_words_before_beginnings(tmp_path: Path) -> None:
    rows = [f"{i}.png,{tub},{i},{i * 100},0,0" for i, tub in enumerate(["t1", "t1", "t10", "lap_1", "lap_2"])]
    root = str(write_csv(tmp_path, rows))
    chosen = {select: len(Config(root, select=select).build().episodes) for select in ("t1", "t", "lap", "")}
    assert chosen == {"t1": 1, "t": 2, "lap": 2, "": 4}
    with pytest.raises(ConfigError, match="Did you mean 'lap_"):
        Config(root, select="lap_3").build()


def test_actions_can_be_chosen(tmp_path: Path) -> None:
    dataset = Config(str(write_csv(tmp_path, ROWS)), actions=("throttle",)).build()
    np.testing.assert_allclose(dataset.episodes[0].actions, np.full((6, 1), 0.5))
    with pytest.raises(ConfigError, match="Did you mean 'steering'"):
        Config("x", actions=("steer",))


def test_tub_of_version_1(tmp_path: Path) -> None:
    root = write_tub1(tmp_path / "tub_1", 12)
    (root / "record_5.json").unlink()
    dataset = Config(str(root)).build()
    assert recognises(root)
    assert dataset.rate_hz == 20 and dataset.deleted == 1
    assert [len(episode) for episode in dataset.episodes] == [11]  # 2 comes before 10
    np.testing.assert_allclose(dataset.episodes[0].actions[:, 0] * 100, [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12], rtol=1e-6)


def test_tub_of_version_2_skips_deleted_records_and_cuts_sessions(tmp_path: Path) -> None:
    root = write_tub2(tmp_path / "tub", 25, deleted=(3, 4, 24), session_after=20)
    dataset = Config(str(root)).build()
    assert recognises(root)
    assert dataset.deleted == 3
    assert [e.name for e in dataset.episodes] == ["tub/22-11-12_0/0000", "tub/22-11-12_1/0000"]
    kept = [i for i in range(24) if i not in (3, 4)]
    np.testing.assert_allclose(np.concatenate([e.actions for e in dataset.episodes])[:, 0] * 100, kept, rtol=1e-6)
    for select in ("tub/22-11-12_1", "22-11-12_1"):
        assert [len(e) for e in Config(str(root), select=select).build().episodes] == [4]


def test_a_folder_of_tubs_is_read_whole(tmp_path: Path) -> None:
    write_tub2(tmp_path / "b", 3)
    write_tub1(tmp_path / "a", 4)
    dataset = Config(str(tmp_path)).build()
    assert recognises(tmp_path)
    assert [(e.name, len(e)) for e in dataset.episodes] == [("a/0000", 4), ("b/22-11-12_0/0000", 3)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("3.png,lap,3,300,left,0.5", "labels.csv line 5: angle is 'left', not a number"),
        ("3.png,lap,3,300,nan,0.5", "labels.csv line 5: angle is nan"),
        ("3.png,lap,3,300,0,1.5", "labels.csv line 5: throttle is 1.5, outside -1..1"),
        ("3.png,lap,3,300", "labels.csv line 5: angle is None, not a number"),
        ("3.png,lap,3,,0,0", "labels.csv line 5: milliseconds is '', not a number"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, said: str) -> None:
    assert said in faults(write_csv(tmp_path, [*ROWS[:3], row, *ROWS[4:]]))


def test_everything_wrong_is_listed_not_the_first_only(tmp_path: Path) -> None:
    root = write_csv(tmp_path, [*ROWS[:4], "4.png,lap,4,400,x,y", "5.png,lap,5,500,nan,0"])
    (root / "images/1.png").unlink()
    (root / "images/0.png").write_bytes(b"")
    found = faults(root)
    assert found == [
        "labels.csv line 6: angle is 'x', not a number",
        "labels.csv line 6: throttle is 'y', not a number",
        "labels.csv line 7: angle is nan",
        "images/1.png is missing",
        "episode lap/0000: images/0.png cannot be read (cannot identify image file)",
    ]
    with pytest.raises(DataError, match=r"And 3 more\. Run: causeway check"):
        Config(str(root)).build()


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    said = faults(write_csv(tmp_path, ROWS, "file,tub,index,time,angle,power"))
    assert said == [
        "labels.csv has no column throttle, timestamp_ms or milliseconds. It has: file, tub, index, time, angle, power"
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "labels.csv is empty"),
        ("\n1,2\n", "labels.csv begins with an empty line, not with the names of its columns"),
        ("file,angle,throttle,timestamp_ms\n", "holds no records"),
    ],
)
def test_a_table_without_columns_or_rows(tmp_path: Path, content: str, said: str) -> None:
    root = write_csv(tmp_path, ROWS)
    (root / "labels.csv").write_text(content)
    assert faults(root) == [said]


def test_a_missing_picture_is_found_before_decoding_and_told_once(tmp_path: Path) -> None:
    root = write_csv(tmp_path, [*ROWS, ROWS[3].replace("300", "600")])
    (root / "images/3.png").unlink()
    assert Config(str(root)).read().faults == ("images/3.png is missing",)
    assert faults(root) == ["images/3.png is missing"]


def test_a_missing_folder_of_pictures_is_told_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_csv(tmp_path / "csv" / name, ROWS)
        shutil.rmtree(tmp_path / "csv" / name / "images")
    assert faults(tmp_path / "csv") == ["has no folder a/images", "has no folder b/images"]
    root = write_tub2(tmp_path / "tub", 25)
    shutil.rmtree(root / "images")
    assert faults(root) == ["has no folder images"]
    with pytest.raises(DataError, match=f"{root} has no folder images. Run: causeway check"):
        list(Config(str(root)).read().frames(0))


def test_a_picture_that_vanishes_while_reading_is_told_once(tmp_path: Path) -> None:
    root = write_csv(tmp_path, [*ROWS, ROWS[3].replace("300", "600")])
    dataset = Config(str(root)).build()
    (root / "images/3.png").unlink()
    assert list(dataset.problems()) == ["images/3.png is missing"]


def test_faults_of_one_tub_among_several_name_it(tmp_path: Path) -> None:
    write_tub1(tmp_path / "good", 3)
    write_csv(tmp_path / "bad", [*ROWS[:5], "5.png,lap,5,500,left,0.5"])
    assert faults(tmp_path) == ["bad/labels.csv line 7: angle is 'left', not a number"]


def test_pictures_named_by_absolute_paths(tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    Image.fromarray(picture(1)).save(tmp_path / "else/0.png")
    root = write_csv(tmp_path / "drive", ROWS)
    rows = [f"{tmp_path}/else/{i}.png,lap,{i},{i * 100},0,0" for i in range(3)]
    (root / "labels.csv").write_text("\n".join(["file,tub,index,milliseconds,angle,throttle", *rows]))
    (tmp_path / "else/1.png").write_bytes(b"none")
    assert faults(root) == [
        "../else/2.png is missing",
        "episode lap/0000: ../else/1.png cannot be read (cannot identify image file)",
    ]


def test_a_truncated_picture_names_file_and_episode(tmp_path: Path) -> None:
    root = write_tub1(tmp_path / "tub", 8)
    for number in (4, 6):
        file = root / f"{number}_cam-image_array_.jpg"
        file.write_bytes(file.read_bytes()[:-40])
    said = faults(root)
    assert len(said) == 2
    assert said[0].startswith("episode tub/0000: 4_cam-image_array_.jpg cannot be read (image file is truncated")
    with pytest.raises(DataError, match=f"{root} episode tub/0000: 4_cam.*Run: causeway check {root}"):
        list(Config(str(root)).build().frames(0))


def test_pictures_of_differing_sizes_are_refused(tmp_path: Path) -> None:
    root = write_csv(tmp_path, ROWS)
    Image.fromarray(picture(1, 12, 16)).save(root / "images/4.png")
    assert faults(root) == ["episode lap/0000: images/4.png is 16x12, the first picture is 32x24"]


def test_a_tub_with_a_missing_catalog_or_record(tmp_path: Path) -> None:
    root = write_tub2(tmp_path / "tub", 25)
    (root / "catalog_1.catalog").unlink()
    assert faults(root) == [
        "catalog_1.catalog is missing, though manifest.json names it",
        "manifest.json counts 25 records but the catalogs hold 15",
    ]


def test_a_tub_record_without_its_numbers(tmp_path: Path) -> None:
    root = write_tub1(tmp_path / "tub", 5)
    content = json.loads((root / "record_2.json").read_text())
    del content["user/angle"]
    (root / "record_2.json").write_text(json.dumps(content))
    (root / "record_4.json").write_text('{"cam/image_array"')
    said = faults(root)
    assert said[0] == "record_2.json: has no user/angle"
    assert said[1].startswith("record_4.json: not valid JSON")


def test_a_manifest_that_breaks_off(tmp_path: Path) -> None:
    root = write_tub2(tmp_path / "tub", 3)
    (root / "manifest.json").write_text('["cam/image_array"]\r\n')
    assert "manifest.json does not end with the line that names the catalogs" in faults(root)[0]


@pytest.mark.parametrize("content", ["[1, 2]", "3", "null", '"text"'])
def test_a_line_or_file_that_holds_no_record(tmp_path: Path, content: str) -> None:
    root = write_tub2(tmp_path / "tub2", 25)
    lines = (root / "catalog_1.catalog").read_text().splitlines()
    (root / "catalog_1.catalog").write_text("\n".join([*lines[:3], content, *lines[4:]]))
    held = repr(json.loads(content))
    assert faults(root) == [f"catalog_1.catalog line 4: holds {held}, not a record"]
    root = write_tub1(tmp_path / "tub1", 3)
    (root / "record_1.json").write_text(content)
    assert faults(root) == [f"record_1.json: holds {held}, not a record"]


@pytest.mark.parametrize("deleted", [3, None, "3", [[1]], ["3"], {"3": 3}])
def test_deleted_records_are_a_list_of_numbers(tmp_path: Path, deleted: object) -> None:
    root = write_tub2(tmp_path / "tub", 3)
    lines = (root / "manifest.json").read_text().splitlines()
    lines[-1] = json.dumps(json.loads(lines[-1]) | {"deleted_indexes": deleted})
    (root / "manifest.json").write_text("\n".join(lines))
    assert faults(root) == [f"manifest.json line 5: deleted_indexes is {deleted!r}, not a list of whole numbers"]


@pytest.mark.parametrize("paths", [3, [3], "catalog_0.catalog"])
def test_catalogs_are_a_list_of_names(tmp_path: Path, paths: object) -> None:
    root = write_tub2(tmp_path / "tub", 3)
    (root / "manifest.json").write_text(json.dumps({"paths": paths}))
    said = "manifest.json does not end with the line that names the catalogs (paths, deleted_indexes)"
    assert faults(root) == [said]


def test_a_number_too_large_to_be_one(tmp_path: Path) -> None:
    root = write_tub1(tmp_path / "tub", 3)
    content = json.loads((root / "record_2.json").read_text())
    (root / "record_2.json").write_text(json.dumps(content | {"user/angle": 10**400}))
    assert len(faults(root)) == 1
    assert faults(root)[0].startswith("record_2.json: angle is 1000") and faults(root)[0].endswith(", not a number")


def test_folders_that_hold_no_recording(tmp_path: Path) -> None:
    assert faults(tmp_path) == ["is empty"]
    (tmp_path / "readme.txt").write_text("hello")
    assert "holds no Donkey recording" in faults(tmp_path)[0]
    assert not recognises(tmp_path)


@pytest.mark.parametrize("gap_s", [0.0, -1.0, float("nan")])
def test_a_gap_of_nothing_is_refused(gap_s: float) -> None:
    with pytest.raises(ConfigError, match="gap_s must be above 0"):
        Config("x", gap_s=gap_s)


def test_the_fingerprint_follows_files_and_settings(tmp_path: Path) -> None:
    root = write_csv(tmp_path, ROWS)
    first = Config(str(root)).build().fingerprint()
    assert first == Config(str(root)).build().fingerprint()
    assert first != Config(str(root), gap_s=0.05).build().fingerprint()
    Image.fromarray(picture(99)).save(root / "images/2.png")
    assert first != Config(str(root)).build().fingerprint()


def test_the_public_drives(data: Path) -> None:
    simulated = Config(str(data / "donkey_sim")).build()
    assert (simulated.rate_hz, sum(map(len, simulated.episodes))) == (10, 12_040)
    real = {select: Config(str(data / "donkey_real"), select=select).build() for select in ("t1", "t3")}
    assert [sum(map(len, d.episodes)) for d in real.values()] == [5000, 1600]
    assert {d.rate_hz for d in real.values()} == {20}


@pytest.mark.parametrize(("order", "alone"), [("reversed", 20), ("seconds", 18)])
def test_times_that_leave_nearly_every_frame_alone_are_refused(order: str, alone: int, tmp_path: Path) -> None:
    times = range(2000, 0, -100) if order == "reversed" else [i // 10 for i in range(20)]
    rows = [f"{i}.jpg,lap,{i},{time},0.1,0.5" for i, time in enumerate(times)]
    found = Config(str(write_csv(tmp_path / order, rows))).read()
    assert list(found.faults) == [
        f"has {alone} frames that stand alone: is each recording in the order of time, are its times milliseconds, "
        "and are pauses shorter than gap_s = 1 s"
    ]


def test_a_few_lone_frames_between_long_stretches_are_nothing(tmp_path: Path) -> None:
    rows, time = [], 0
    for _ in range(10):
        for step in (9000, *[100] * 5, 9000):
            time += step
            rows.append(f"{len(rows)}.jpg,lap,{len(rows)},{time},0.1,0.5")
    found = Config(str(write_csv(tmp_path / "lap", rows))).read()
    assert not found.faults and sum(len(episode) == 1 for episode in found.episodes) == 10
