"""A bridge held steady along a clip, on pictures that move by known amounts."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from causeway import redraw
from causeway.bridges import Bridge, colors, diffusion, identity, steady, student
from causeway.data import Moments
from causeway.errors import ConfigError, MissingExtra

HEIGHT, WIDTH = 48, 64


class Shaking(Bridge):
    """Lighter or darker at random, picture by picture."""

    def forward(self, images: Tensor) -> Tensor:
        shifts = torch.randint(-20, 21, (len(images), 1, 1, 1, 1))
        return (images.int() + shifts).clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Shaken:
    """Its settings."""

    def build(self) -> Shaking:
        return Shaking()


def moving(count: int, step: int, seed: int = 0) -> Tensor:
    """(T, 1, 3, H, W) of a texture that slides to the left by ``step`` pixels a moment."""
    rng = np.random.default_rng(seed)
    wide = gaussian_filter(rng.uniform(0, 255, (3, HEIGHT, WIDTH + count * step)), (0, 2, 2))
    wide = 60 + 130 * (wide - wide.min()) / np.ptp(wide)
    frames = np.stack([wide[:, :, t * step : t * step + WIDTH] for t in range(count)])
    return torch.from_numpy(frames.astype(np.uint8))[:, None]


def unchanged(**settings: float) -> steady.Config:
    """What holds a bridge steady that changes nothing."""
    return steady.Config(bridge=identity.Config(), **settings)


def unsteadiness(drawn: Tensor, images: Tensor) -> float:
    """Spread over time of how much lighter a drawing is than its picture."""
    return float((drawn.float() - images.float()).mean((1, 2, 3, 4)).std())


def test_a_bridge_that_was_learned_is_held_steady_afterwards() -> None:
    learned, held = colors.Config().build(), steady.Config(bridge=colors.Config()).build()
    learned.load_state_dict({name: torch.rand_like(value) for name, value in learned.state_dict().items()})
    held.take(learned)
    assert held.inner.state_dict().keys() == learned.state_dict().keys()
    assert all(torch.equal(learned.state_dict()[name], value) for name, value in held.inner.state_dict().items())
    again = steady.Config(bridge=colors.Config()).build()
    again.take(held)
    assert all(torch.equal(held.state_dict()[name], value) for name, value in again.state_dict().items())
    with pytest.raises(RuntimeError):
        held.take(student.Config().build())


@pytest.mark.parametrize("step", [0, 3])
def test_what_shakes_is_held_steady_where_things_move_too(step: int) -> None:
    torch.manual_seed(0)
    images = moving(30, step)
    held = {share: steady.Config(bridge=Shaken(), share=share).build().along(images) for share in (0.0, 0.7)}
    # an exponential mean of weight a = .3 has the spread sqrt(a / (2 - a)) = .42 of what it is a mean of
    assert unsteadiness(held[0.7], images) < 0.6 * unsteadiness(held[0.0], images)
    sharp = unchanged(share=0.7).build().along(images)
    assert (sharp.float() - images.float()).abs().mean() < 4, "it does not smear what moves"


def test_by_hand_on_a_picture_that_stands_still() -> None:
    made = steady.Config(bridge=colors.Config(), share=0.5).build()
    made.inner = Shaking()
    made.inner.forward = lambda images: next(drawings)  # type: ignore[method-assign, assignment]
    still = moving(1, 0)
    drawings = iter([torch.full_like(still, level) for level in (100, 140, 100, 60)])
    assert [int(made.along(still).float().mean()) for _ in range(3)] == [100, 120, 110]
    made.clip(0)
    assert made.along(still).float().mean() == 60, "a new clip has no past"


def test_what_the_flow_does_not_explain_is_drawn_anew() -> None:
    images = moving(2, 0)
    images[1, ..., 20:40, 20:40] = 255 - images[1, ..., 20:40, 20:40] // 2  # something else stands there now
    drawn = torch.stack([torch.full_like(images[0], level) for level in (50, 150)])
    made = unchanged(share=0.6).build()
    made.inner.forward = lambda given: drawn  # type: ignore[method-assign, assignment]
    out = made.along(images)[1, 0].float()
    assert out[:, 24:36, 24:36].mean() > 140 and out[:, :10, :10].mean() == pytest.approx(90, abs=3)
    other = unchanged(share=0.6, tolerance=1e4).build()
    other.inner.forward = lambda given: drawn  # type: ignore[method-assign, assignment]
    assert other.along(images)[1, 0].float().mean() == pytest.approx(90, abs=3), "unless everything is tolerated"


def test_pictures_alone_know_nothing_of_one_another_and_cameras_not_of_each_other() -> None:
    images = torch.cat([moving(6, 1), moving(6, 2, seed=1)], 1)
    made = unchanged(share=0.6).build()
    assert torch.equal(made(images), images)
    both = made.along(images)
    for camera in (0, 1):
        alone = unchanged(share=0.6).build().along(images[:, camera : camera + 1])
        assert torch.equal(both[:, camera : camera + 1], alone)
    twice = unchanged(share=0.6).build()
    parts = torch.cat([twice.along(images[:2]), twice.along(images[2:])])
    assert (parts.int() - both.int()).abs().max() <= 1, "however many are given at once"
    tiny = torch.randint(0, 255, (3, 1, 3, 5, 7), dtype=torch.uint8)
    assert torch.equal(twice.along(tiny), unchanged(share=0.6).build().along(tiny)), "others begin anew"


@pytest.mark.parametrize("size", [(5, 7), (8, 64), (48, 7), (24, 112), (30, 160), (33, 640)])
def test_pictures_may_be_small_low_and_wide(size: tuple[int, int]) -> None:
    """OpenCV's flow ends the process on some of these."""
    images = torch.randint(0, 255, (3, 1, 3, *size), dtype=torch.uint8)
    assert unchanged().build().along(images).shape == images.shape
    still = images[:1].expand(3, -1, -1, -1, -1)
    assert (steady.flow(*still[:2, 0].permute(0, 2, 3, 1).numpy()) == 0).all()


def test_all_else_is_the_inner_bridge(moments: Callable[..., Moments]) -> None:
    plain, held = colors.Config().build(), steady.Config(bridge=colors.Config()).build()
    for made in (plain, held):
        made.calibrate(moments(20), moments(20, seed=1))
    images = moving(3, 1)
    assert torch.equal(plain(images), held(images)) and held.learned == plain.learned
    learner = steady.Config(bridge=student.Config(width=4, blocks=0)).build()
    assert callable(learner.change) and learner.learned and not hasattr(held, "change")
    varied = steady.Config(bridge=diffusion.Config()).build()
    assert "fog" in varied.conditions()


class Remembering(Bridge):
    """Counts what it saw of a clip."""

    def forward(self, images: Tensor) -> Tensor:
        return images

    def along(self, images: Tensor) -> Tensor:
        self.past = (self.past or 0) + len(images)
        return images


def test_what_the_inner_bridge_remembers_is_swapped_with_it() -> None:
    made, images = unchanged().build(), moving(1, 0)
    made.inner = Remembering()
    pasts: dict[str, object] = {"left": None, "right": None}
    for vehicle in ("left", "right", "left"):
        made.past = pasts[vehicle]
        made.along(images)
        pasts[vehicle] = made.past
    assert pasts["left"].inner == 2 and pasts["right"].inner == 1  # type: ignore[attr-defined]


def test_clips_are_redrawn_in_order(moments: Callable[..., Moments]) -> None:
    torch.manual_seed(0)
    recorded = moments(40)
    bridge = steady.Config(bridge=Shaken(), share=0.8, tolerance=1e3).build()
    found = redraw.through(bridge, recorded).mean((1, 2, 3, 4))
    own = recorded.frames[recorded.rows].mean((1, 2, 3, 4))
    assert np.abs(np.diff(found - own)).mean() < 8, "shaking alone has 13 from one to the next"


def test_settings_and_libraries_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ({"share": 1.0}, {"share": -0.1}, {"tolerance": 0.0}):
        with pytest.raises(ConfigError, match="share is 0 or more and below 1"):
            steady.Config(**wrong)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtra, match=r"needs opencv-python-headless.*steady"):
        steady.Config().build()
