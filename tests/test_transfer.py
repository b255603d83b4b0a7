"""Methods on a shift that is known: a faint, coloured fog lies over the target. Minutes, so not by default."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from causeway import config
from causeway.alignments import Alignment
from causeway.data import Domain, Joint, Moments
from causeway.train import Training, train

pytestmark = pytest.mark.slow
SEEDS = (0, 1, 2)


def sides(moments: Callable[..., Moments], cache: Path) -> tuple[Domain, Domain]:
    """The same task in both; the target keeps a quarter of the contrast, on bright ground, and little of its blue."""
    made = []
    for name in ("source", "target"):
        parts = []
        for seed, count in ((1, 400), (2, 100), (3, 200)):
            part = moments(count, seed=seed + 10 * (name == "target"))
            if name == "target":
                tint = np.array([1.0, 0.6, 0.3], np.float32)[:, None, None]
                part = replace(part, frames=(150 + 0.25 * tint * part.frames).astype(np.uint8))
            parts.append(part)
        train_part, tune, test = parts
        labelled = train_part if name == "source" else train_part.select(np.arange(0))
        nobody = train_part.select(np.arange(0))
        made.append(Domain(name, labelled, train_part.hidden(), nobody, tune, test, cache=cache))
    return made[0], made[1]


def error(alignment: object, weight: float, seed: int, domains: tuple[Domain, Domain], folder: Path) -> float:
    torch.manual_seed(seed)
    settings = {"name": "imitation", "batch": 64, "alignment_weight": weight, "policy": {"name": "cnn", "dropout": 0.0}}
    made = config.component("method", settings | {"alignment": {"name": "none"}})
    method = replace(made, alignment=alignment).build(*domains, seed=seed)
    try:
        train(method, Training(steps=300, checks=0, accelerator="cpu", save_every=10**6), seed, folder)
    except FloatingPointError:  # a loss pushed to minus infinity, as the wrong sign may
        return float("inf")
    batch = domains[1].test.take()
    guess = method.part.eval().act(batch.images, batch.state)
    assert batch.actions is not None
    return float((guess - batch.actions)[:, 0, 0].abs().mean().detach())


class Wrong:
    """An alignment with its sign turned."""

    def __init__(self, inner: object):
        self.inner = inner

    def build(self, width: int, actions: int) -> Alignment:
        right = self.inner.build(width, actions)  # type: ignore[attr-defined]

        class Turned(type(right)):  # type: ignore[misc]
            def forward(self, source: Joint, target: Joint, progress: float) -> torch.Tensor:
                return -super().forward(source, target, progress)

        right.__class__ = Turned
        return right


@pytest.mark.parametrize(("name", "weight"), [("coral", 100.0), ("mmd", 1.0), ("transport", 0.3)])
def test_an_alignment_helps_and_its_mirror_image_does_not(
    name: str, weight: float, moments: Callable[..., Moments], tmp_path: Path
) -> None:
    domains = sides(moments, tmp_path / "cache")
    plain, right = config.component("alignment", "none"), config.component("alignment", name)
    arms = {"plain": plain, "right": right, "wrong": Wrong(right)}
    errors = {
        arm: np.mean([error(made, weight, seed, domains, tmp_path / f"{arm}{seed}") for seed in SEEDS])
        for arm, made in arms.items()
    }
    assert errors["right"] < 0.5 * errors["plain"] and errors["right"] < 0.5 * errors["wrong"], errors
