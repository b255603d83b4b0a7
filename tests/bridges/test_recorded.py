"""What another program made of pictures, looked up."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from causeway.bridges import recorded
from causeway.errors import DataError


def folder(path: Path, levels: range, size: tuple[int, int] = (8, 6)) -> str:
    path.mkdir()
    for number, level in enumerate(levels):
        Image.new("RGB", size, (level, level, 0)).save(path / f"{number}.png")
    return str(path)


def test_each_picture_becomes_its_own(tmp_path: Path) -> None:
    made = recorded.Config(folder(tmp_path / "a", range(12)), folder(tmp_path / "b", range(100, 112), (16, 12))).build()
    made.begin()
    asked = torch.zeros(2, 1, 3, 6, 8, dtype=torch.uint8)
    asked[0, :, :2], asked[1, :, :2] = 11, 3
    assert made(asked)[:, 0, 0, 0, 0].tolist() == [111, 103], "10 comes after 9, whatever the sizes"
    with pytest.raises(DataError, match="is not among those of"):
        made(asked + 1)


def test_folders_that_do_not_go_together(tmp_path: Path) -> None:
    made = recorded.Config(folder(tmp_path / "a", range(3)), folder(tmp_path / "b", range(2))).build()
    with pytest.raises(DataError, match=r"b holds 2 pictures, but .*a holds 3"):
        made.begin()
    with pytest.raises(DataError, match="There is no folder"):
        recorded.Config(str(tmp_path / "none"), str(tmp_path / "b")).build().begin()


def test_another_size_is_read_anew(tmp_path: Path) -> None:
    made = recorded.Config(folder(tmp_path / "a", range(2)), folder(tmp_path / "b", range(50, 52))).build()
    small = torch.zeros(1, 1, 3, 3, 4, dtype=torch.uint8)
    assert np.array_equal(made(small)[0, 0, :2].numpy(), np.full((2, 3, 4), 50))
