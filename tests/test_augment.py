"""Augmentation, features on disk, and the noise bridge."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from causeway import config
from causeway.augment import Augment, Augmentation
from causeway.bridges import identity, noise
from causeway.data import Domain, Moments, Spec
from causeway.errors import ConfigError
from causeway.features import embedded
from causeway.policies import squeezenet

EYES = squeezenet.Config(layer=2, rows=1, columns=3)


def images(count: int = 6) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randint(40, 200, (count, 2, 3, 24, 32), dtype=torch.uint8)


@pytest.mark.parametrize("setting", ["brightness", "contrast", "saturation", "hue", "grey", "blur", "shift", "erase"])
def test_each_setting_changes_pictures_in_training_alone(setting: str) -> None:
    made = Augmentation(Augment(**{setting: 0.5}), (), ("steering",))
    before = images()
    after = made(before)
    assert after.shape == before.shape and after.dtype == torch.uint8 and not torch.equal(after, before)
    assert torch.equal(made.eval()(before), before)


def test_no_setting_changes_nothing() -> None:
    assert torch.equal(Augmentation(Augment(), (), ())(images()), images())


def changed(pictures: torch.Tensor, **settings: float) -> torch.Tensor:
    torch.manual_seed(0)
    return Augmentation(Augment(**settings), (), ())(pictures)


def test_each_setting_changes_what_it_says_and_nothing_else() -> None:
    flat = torch.full((8, 1, 3, 16, 16), 100, dtype=torch.uint8)
    grey = images(8)[:, :1, :1].expand(8, 1, 3, 24, 32).contiguous()
    red = flat.clone()
    red[:, :, 1:] = 20
    bright = changed(flat, brightness=0.5)
    assert len(bright[:, 0, 0, 0, 0].unique()) > 4, "each picture is changed on its own"
    assert 50 <= bright.min() < 80 and 120 < bright.max() <= 150
    assert torch.equal(changed(flat, contrast=0.5), flat) and not torch.equal(changed(grey, contrast=0.5), grey)
    for colour in ("saturation", "hue"):
        assert (changed(grey, **{colour: 0.3}).int() - grey.int()).abs().max() <= 1
        assert not torch.equal(changed(red, **{colour: 0.3}), red)
    redder = changed(red, saturation=0.3)
    assert (redder[:, :, 0] > redder[:, :, 2]).all(), "colours stay in their places"


def test_shifts_go_both_ways_and_repeat_the_border() -> None:
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    before = torch.stack([60 + 4 * x, 60 + 4 * y, 60 + 0 * x]).to(torch.uint8).expand(16, 1, 3, 32, 32).contiguous()
    moved = (changed(before, shift=0.25).int() - before)[..., 16, 16][:, 0].float()
    assert moved[:, 0].abs().max() > 10 and moved[:, 1].abs().max() > 10 and moved.abs().max() <= 33
    assert changed(before, shift=0.25).min() >= 59


@pytest.mark.parametrize("setting", ["grey", "blur", "erase"])
def test_shares_are_shares_of_the_pictures(setting: str) -> None:
    before = torch.randint(0, 255, (300, 1, 3, 8, 8), dtype=torch.uint8)
    share = (changed(before, **{setting: 0.25}) != before).flatten(1).any(1).float().mean()
    assert share == pytest.approx(0.25, abs=0.1)


def test_what_is_not_changed_keeps_every_pixel() -> None:
    before = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 1, 16, 16).expand(1, 1, 3, 16, 16).contiguous()
    assert torch.equal(changed(before, erase=1e-9), before)


def test_mirroring_alone_changes_no_picture() -> None:
    mirroring, before = Augmentation(Augment(mirror=("steering",)), (), ("steering",)), images()
    assert mirroring.changes is None and mirroring(before) is before, "only the moments that are turned are changed"


def test_state_is_mirrored_too(moments: Callable[..., Moments]) -> None:
    recorded = moments(4, state=2)
    made = Augmentation(Augment(mirror=("state_1",)), recorded.state_names, recorded.action_names)
    batch, chosen = recorded.take(), torch.tensor([True, False, True, False])
    turned = made.mirror(batch, chosen)
    signs = torch.tensor([[1.0, -1.0], [1.0, 1.0]] * 2)
    assert torch.equal(turned.state, batch.state * signs) and torch.equal(turned.actions, batch.actions)  # type: ignore[arg-type]
    assert torch.equal(turned.images[::2], batch.images[::2].flip(-1))
    assert torch.equal(turned.images[1::2], batch.images[1::2])


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "imitation", "augment": {"mirror": ["steering"]}},
        {"name": "ridge", "policy": {"name": "squeezenet"}, "mirror": ["steering"]},
    ],
    ids=lambda settings: settings["name"],
)
def test_a_mirror_needs_a_single_camera(
    settings: dict[str, Any], domains: Callable[..., tuple[Domain, Domain]]
) -> None:
    source, target = domains()
    frames = np.repeat(target.unlabelled.frames, 2, 1)
    pair = replace(target, unlabelled=replace(target.unlabelled, frames=frames))
    with pytest.raises(ConfigError, match="mirror works with one camera, and there are 2"):
        config.component("method", settings).build(source, pair, seed=0)


def test_noise_spreads_from_none_to_its_level() -> None:
    torch.manual_seed(0)
    bridge = noise.Config(level=60.0).build()
    grey = torch.full((400, 1, 3, 8, 8), 128, dtype=torch.uint8)
    spread = (bridge(grey).float() - 128).flatten(1).std(1)
    assert spread.min() < 6 and 50 < spread.max() < 75 and abs(spread.mean() - 30) < 4
    faint = (noise.Config(level=6.0).build()(grey).float() - 128).flatten(1).std(1)
    assert faint.max() < 8 and abs(faint.mean() - 3) < 0.5
    black = torch.zeros_like(grey)
    noisy = bridge(black).float()
    assert (noisy > 200).float().mean() < 0.001 and (noisy == 0).float().mean() > 0.4, "what would be below 0 is 0"
    assert (bridge(grey).float().mean((1, 2, 3, 4)) - 128).abs().mean() < 4, "as often darker as brighter"


def test_features_are_what_the_eyes_see_and_are_computed_once(
    moments: Callable[..., Moments], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = moments(40)
    policy = EYES.build(recorded.spec)
    augmentation = Augmentation(
        Augment(mirror=("steering",), brightness=0.5), recorded.state_names, recorded.action_names
    )
    made = embedded(policy, recorded, augmentation, identity.Config().build(), 4, tmp_path)
    chosen = np.array([3, 17, 20])
    batch = made.take(recorded, chosen, np.array([0, 1, 0]))
    clean = recorded.take(chosen)
    assert batch.embedding is not None and batch.actions is not None and clean.actions is not None
    assert torch.allclose(batch.embedding[0], policy.embed(clean.images)[0], rtol=2e-3, atol=2e-2)
    assert torch.allclose(batch.embedding[1], policy.embed(clean.images.flip(-1))[1], rtol=2e-3, atol=2e-2)
    assert batch.actions[:, 0, 0].tolist() == (clean.actions[:, 0, 0] * torch.tensor([1, -1, 1])).tolist()
    assert not np.allclose(made.values[2], made.values[0], atol=0.1), "later copies are augmented"
    monkeypatch.setattr(type(policy), "embed", lambda *_: pytest.fail("computed twice"))
    embedded(policy, recorded, augmentation, identity.Config().build(), 4, tmp_path)


def test_other_eyes_or_changes_get_other_features(moments: Callable[..., Moments], tmp_path: Path) -> None:
    recorded, plain = moments(20), identity.Config().build()
    bright, none = (Augmentation(Augment(brightness=b), (), ()) for b in (0.5, 0.0))
    torch.manual_seed(0)
    policy = EYES.build(recorded.spec)
    torch.manual_seed(1)
    other = EYES.build(recorded.spec)
    for eyes, augmentation, bridge in (
        (policy, none, plain),
        (other, none, plain),
        (policy, bright, plain),
        (policy, none, noise.Config().build()),
        (policy, none, noise.Config(5.0).build()),
    ):
        embedded(eyes, recorded, augmentation, bridge, 2, tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == 5


def test_spec_is_a_plain_tuple_that_survives_json() -> None:
    assert Spec(**Spec(1, 2, 3, 4, 5, 6)._asdict()) == (1, 2, 3, 4, 5, 6, 1, 0)


def test_the_frames_of_a_history_are_changed_alike_and_cameras_apart() -> None:
    torch.manual_seed(0)
    picture = torch.randint(0, 255, (1, 1, 3, 16, 16), dtype=torch.uint8).expand(4, 6, 3, 16, 16)  # O = 3, V = 2
    config = Augment(brightness=0.5, hue=0.3, shift=0.3, erase=1.0)
    changed = Augmentation(config, (), (), cameras=2, history=3).train()(picture)
    frames = changed.reshape(4, 3, 2, 3, 16, 16)
    assert (frames == frames[:, :1]).all(), "what moves is the world"
    assert not (frames[:, :, 0] == frames[:, :, 1]).all() and not (frames[0] == frames[1]).all()
    assert Augmentation(config, (), (), cameras=2, history=3).train()(picture[:, :2]).shape == (4, 2, 3, 16, 16)
