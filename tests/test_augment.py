"""Augmentation, features on disk, and the noise bridge."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from causeway.augment import Augment, Augmentation
from causeway.bridges import identity, noise
from causeway.data import Moments, Spec
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


def test_noise_spreads_from_none_to_its_level() -> None:
    bridge = noise.Config(level=60.0).build()
    grey = torch.full((400, 1, 3, 8, 8), 128, dtype=torch.uint8)
    spread = (bridge(grey).float() - 128).flatten(1).std(1)
    assert spread.min() < 6 and 50 < spread.max() < 75 and abs(spread.mean() - 30) < 4


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
    assert Spec(**Spec(1, 2, 3, 4, 5, 6)._asdict()) == (1, 2, 3, 4, 5, 6)
