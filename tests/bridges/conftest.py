"""Bridges on tiny foundation models."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from torch import Tensor

import foundations
from causeway.bridges import diffusion
from foundations import Tiny, pictures

QUICK = {"prompt": "a street", "side": 0, "steps": 4, "guidance": 3.0}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The folder of a tiny model by its name."""
    root = tmp_path_factory.mktemp("models")

    @cache
    def of(name: str) -> str:
        parts = {"controlnet", "adapter"}
        return str(getattr(foundations, name)(root / name, *([Path(of("stable"))] if name in parts else [])))

    return of


@pytest.fixture(scope="session")
def tiny(folder: Callable[[str], str]) -> Tiny:
    """A bridge on a tiny model, in evaluation."""

    def make(model: str = "stable", **settings: Any) -> diffusion.Diffusion:
        made = diffusion.Config(model=folder(model), **{**QUICK, **settings}).build()  # type: ignore[arg-type]
        made.eval()
        return made

    return make


@pytest.fixture(scope="session")
def plain(tiny: Tiny) -> Tensor:
    """What a bridge with all settings as they are makes of two pictures."""
    return tiny()(pictures())


@pytest.fixture
def style(tmp_path: Path, folder: Callable[[str], str]) -> dict[str, Any]:
    """Settings of an image prompt."""
    Image.new("RGB", (20, 20), (200, 30, 30)).save(tmp_path / "style.png")
    return {
        "image_prompt": str(tmp_path / "style.png"),
        "adapter": folder("adapter"),
        "adapter_weights": "models/tiny.bin",
    }
