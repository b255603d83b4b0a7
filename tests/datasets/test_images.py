"""A folder of pictures as a dataset: order, modes, and what is none."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.Image import Transpose as Turn

from causeway import agreement
from causeway.datasets import _disk, images
from causeway.errors import ConfigError, DataError


def picture(path: Path, level: int, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (level, level, level)).convert(mode).save(path)


def levels(dataset: images.Images, episode: int = 0) -> list[int]:
    return [int(frame[0, 0, 0, 0]) for frame in dataset.frames(episode)]


def test_pictures_are_counted_as_people_count(tmp_path: Path) -> None:
    for number in (10, 2, 1, 0):
        picture(tmp_path / f"frame{number}.png", number)
    (tmp_path / "LICENSE").write_text("free")
    assert images.recognises(tmp_path)
    made = images.Config(str(tmp_path), rate_hz=5).build()
    assert levels(made) == [0, 1, 2, 10] and np.allclose(made.episodes[0].time_s, [0, 0.2, 0.4, 0.6])
    assert made.cameras == ("front",) and made.episodes[0].actions is None and not list(made.problems())
    assert [int(frame[0, 0, 0, 0]) for frame in made.frames(0, 2)] == [2, 10]


def test_folders_are_episodes_and_can_be_chosen(tmp_path: Path) -> None:
    for name, level in (("town2", 2), ("town10", 10), ("rain", 7)):
        picture(tmp_path / name / "a.png", level)
    made = images.Config(str(tmp_path)).build()
    assert [episode.name for episode in made.episodes] == ["rain", "town2", "town10"] and levels(made, 2) == [10]
    assert [episode.name for episode in images.Config(str(tmp_path), select="town").build().episodes] == [
        "town2",
        "town10",
    ]


def test_some_files_are_kept_and_edges_cut(tmp_path: Path) -> None:
    for name, level in (("on_12.png", 12), ("on_13.png", 13), ("on_20.png", 20), ("off_13.png", 3)):
        picture(tmp_path / name, level)
    made = images.Config(str(tmp_path), files="on_[1]*.png", top=0.34, bottom=0.17).build()
    frames = list(made.frames(0))
    assert levels(made) == [12, 13] and frames[0].shape == (1, 3, 8, 3), "of six rows two and one are cut off"
    whole = images.Config(str(tmp_path)).build()
    assert made.fingerprint() != images.Config(str(tmp_path), files="on_[1]*.png").build().fingerprint()
    assert len(whole.episodes[0]) == 4
    Image.fromarray(np.arange(6, dtype=np.uint8).repeat(8).reshape(6, 8)).save(tmp_path / "on_1.png")
    rows = next(images.Config(str(tmp_path), files="on_1.png", top=0.34, bottom=0.17).build().frames(0))
    assert rows[0, :, 0, 0].tolist() == [2, 3, 4]
    later = images.Config(str(tmp_path), files="on_2*").build()
    assert not agreement.shared(made, later) and agreement.shared(made, whole) == made.holds()
    with pytest.raises(DataError, match="has no picture whose name matches 'of_'"):
        images.Config(str(tmp_path), files="of_").build()
    for top, bottom in ((-0.1, 0.0), (0.6, 0.4)):
        with pytest.raises(ConfigError, match="top and bottom are shares"):
            images.Config(str(tmp_path), top=top, bottom=bottom)


def test_what_is_not_eight_bits_of_colour_is_made_so(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 128 * 256 + 77, np.uint16)).save(tmp_path / "0.png")
    Image.new("RGBA", (4, 4), (200, 100, 50, 128)).save(tmp_path / "1.png")
    Image.new("L", (4, 4), 90).save(tmp_path / "2.png")
    frames = [frame[0, 0, 0].tolist() for frame in images.Config(str(tmp_path)).build().frames(0)]
    assert frames == [[128] * 3, [100, 50, 25], [90] * 3]


def test_cameras_of_twelve_bits_fill_the_dark_end_of_sixteen(tmp_path: Path) -> None:
    for name, grey in enumerate((0, 2048 + 15, 4095, 5000)):  # the last is beyond white
        Image.fromarray(np.full((4, 4), grey, np.uint16)).save(tmp_path / f"{name}.png")
    Image.new("L", (4, 4), 90).save(tmp_path / "4.png")  # eight bits are eight bits
    dark, bright = (images.Config(str(tmp_path), bits=bits).build() for bits in (16, 12))
    assert [frame[0, 0, 0, 0] for frame in bright.frames(0)] == [0, 128, 255, 255, 90]
    assert [frame[0, 0, 0, 0] for frame in dark.frames(0)] == [0, 8, 15, 19, 90]
    assert dark.fingerprint() != bright.fingerprint()
    for bits in (7, 17):
        with pytest.raises(ConfigError, match=f"bits must be 8 to 16, not {bits}"):
            images.Config(str(tmp_path), bits=bits)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_as_whoever_took_them_held_the_camera(orientation: int, tmp_path: Path) -> None:
    upright = np.zeros((4, 6, 3), np.uint8)
    upright[0, :, 0], upright[:, 0, 1] = 200, 100  # a red roof, a green wall on the left
    back = {5: Turn.TRANSPOSE, 6: Turn.ROTATE_90, 7: Turn.TRANSVERSE, 8: Turn.ROTATE_270}
    back |= {2: Turn.FLIP_LEFT_RIGHT, 3: Turn.ROTATE_180, 4: Turn.FLIP_TOP_BOTTOM}
    held = Image.fromarray(upright)
    held = held if orientation == 1 else held.transpose(back[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    held.save(tmp_path / "0.png", exif=exif)
    assert np.array_equal(next(images.Config(str(tmp_path)).build().frames(0))[0], upright)
    assert _disk.first_size([tmp_path / "0.png"]) == (4, 6)


def test_floating_numbers_have_no_white(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "0.tiff")
    with pytest.raises(DataError, match=r"its numbers are floating: nobody knows which one is white"):
        next(images.Config(str(tmp_path)).build().frames(0))


def test_one_picture_is_a_dataset_too(tmp_path: Path) -> None:
    picture(tmp_path / "style.jpg", 80)
    assert images.recognises(tmp_path / "style.jpg")
    assert len(images.Config(str(tmp_path / "style.jpg")).build().episodes[0]) == 1


def test_what_holds_labels_of_another_format_is_not_taken_for_pictures(tmp_path: Path) -> None:
    picture(tmp_path / "tub" / "images" / "0.png", 1)
    picture(tmp_path / "labelled" / "0.png", 1)
    (tmp_path / "labelled" / "labels.csv").write_text("file,angle\n")
    assert not images.recognises(tmp_path / "tub") and not images.recognises(tmp_path / "labelled")
    assert not images.recognises(Path(__file__))


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no picture"):
        images.Config(str(tmp_path / "empty")).build()
    with pytest.raises(DataError, match="There is no folder"):
        images.Config(str(tmp_path / "none")).build()
    with pytest.raises(ConfigError, match="rate_hz must be above 0"):
        images.Config(str(tmp_path), rate_hz=0)
    picture(tmp_path / "broken" / "0.png", 1)
    (tmp_path / "broken" / "1.png").write_bytes(b"no picture")
    problems = list(images.Config(str(tmp_path / "broken")).read().problems())
    assert len(problems) == 1 and "episode broken: 1.png cannot be read" in problems[0]


def test_it_changes_its_word_with_its_files(tmp_path: Path) -> None:
    picture(tmp_path / "0.png", 1)
    before = images.Config(str(tmp_path)).build().fingerprint()
    assert before == images.Config(str(tmp_path)).build().fingerprint()
    picture(tmp_path / "1.png", 2)
    assert before != images.Config(str(tmp_path)).build().fingerprint()
