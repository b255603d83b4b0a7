"""What reaches the first layer of each network, what its training sees, and a policy's units by hand."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from causeway import config
from causeway.data import Moments, Spec
from causeway.errors import ConfigError, MissingExtra
from causeway.policies import Bottleneck, Policy, cnn, resnet, squeezenet

SPEC = Spec(cameras=1, height=64, width=96, state=1, horizon=2, action=2)
SMALL: dict[str, dict[str, Any]] = {
    "cnn": {},
    "resnet": {"width": 8},
    "squeezenet": {"layer": 2, "rows": 1, "columns": 3},
    "dino": {"weights": "random", "patches": [2, 3], "grid": [1, 2]},
}


def build(name: str, **settings: Any) -> Any:
    torch.manual_seed(0)
    return config.component("policy", {"name": name, **SMALL[name], **settings}).build(SPEC)


def pictures(count: int = 2) -> Tensor:
    return torch.randint(0, 255, (count, 1, 3, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def reaching(layer: nn.Module, work: Callable[[], object]) -> Tensor:
    """The input of ``layer`` during ``work``."""
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(
        lambda _, inputs, named: seen.append(inputs[0] if inputs else named["pixel_values"]), with_kwargs=True
    )
    work()
    hook.remove()
    return seen[0].detach()


def test_pictures_are_normalised_as_the_weights_expect() -> None:
    images = pictures()
    rgb = images[:, 0].double() / 255
    mean, std = (torch.tensor(v).double().view(3, 1, 1) for v in (resnet.IMAGENET_MEAN, resnet.IMAGENET_STD))
    made = build("resnet")
    assert torch.allclose(
        reaching(made.body["conv1"], lambda: made.embed(images)).double(), (rgb - mean) / std, atol=1e-5
    )
    made = build("squeezenet")
    caffe = rgb.flip(1) * 255 - torch.tensor([104.0, 117.0, 123.0]).view(3, 1, 1)
    assert torch.allclose(reaching(made.trunk.first, lambda: made.embed(images)).double(), caffe, atol=1e-3)
    made = build("dino")
    plain = torch.full_like(images, 128)
    seen = reaching(made.eyes, lambda: made.embed(plain))
    assert seen.shape == (2, 3, 28, 42)
    assert torch.allclose(seen.double(), ((128 / 255 - mean) / std).expand(2, 3, 28, 42), atol=1e-5)
    made = build("cnn")
    assert torch.allclose(reaching(made.eye[0], lambda: made.embed(images)).double(), rgb - 0.5, atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_no_moment_of_a_batch_touches_another_in_training(name: str) -> None:
    made = build(name, dropout=0.0).train()
    images, state = pictures(3), torch.zeros(3, 1)
    other = images.clone()
    other[1:] = 255 - other[1:]
    assert torch.allclose(made.encode(images, state)[0], made.encode(other, state)[0], atol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_dropout_is_as_set_and_in_training_alone(name: str) -> None:
    made = build(name, dropout=0.5).train()
    images, state = pictures(), torch.zeros(2, 1)
    embedding = made.embed(images)
    assert torch.equal(embedding, made.embed(images)), "eyes drop nothing"
    assert not torch.equal(made.project(embedding, state), made.project(embedding, state))
    made.eval()
    assert torch.equal(made.project(embedding, state), made.project(embedding, state))


def test_what_dropout_keeps_makes_up_for_what_it_drops() -> None:
    made = Bottleneck(1000, 1, 4, 0.75).train()
    embedding, state = torch.ones(3, 1000), torch.full((3, 1), 7.0)
    seen = reaching(made.layers, lambda: made(embedding, state))
    assert set(seen[:, :-1].unique().tolist()) == {0.0, 4.0} and (seen[:, -1] == 7).all()
    assert seen[:, :-1].mean() == pytest.approx(1.0, abs=0.15)
    assert torch.equal(reaching(made.layers, lambda: made.eval()(embedding, state))[:, :-1], embedding)


def test_units_come_from_the_chosen_moments_alone(moments: Callable[..., Moments]) -> None:
    recorded = moments(60)
    made = build("cnn")
    made.calibrate(recorded.select(np.arange(0)))
    assert made.state_scale.tolist() == [1.0] and made.action_mean.tolist() == [0.0, 0.0], "nobody showed any"
    part = recorded.select(np.arange(5, 15))
    made.calibrate(part)
    shown = recorded.state[5:15, 0]
    assert made.state_mean.item() == pytest.approx(shown.mean(), rel=1e-4)
    assert made.state_scale.item() == pytest.approx(shown.std(), rel=1e-4)
    state = torch.from_numpy(recorded.state[:3])
    right = (recorded.state[:3] - shown.mean()) / shown.std()
    assert made.scaled(state).numpy() == pytest.approx(right, rel=1e-4)
    seen = reaching(made.bottleneck.layers, lambda: made.project(torch.zeros(3, 6 * 4 * 64), state))
    assert seen[:, -1].numpy() == pytest.approx(right[:, 0], rel=1e-4)


def test_a_frozen_eye_learns_nothing_and_a_tuned_one_does() -> None:
    for tuned in (False, True):
        made: Policy = build("squeezenet", tuned=tuned)
        made.encode(pictures(), torch.zeros(2, 1)).sum().backward()
        weight = made.trunk.first.weight
        assert made.frozen is not tuned and weight.requires_grad is tuned
        assert (weight.grad is not None and bool(weight.grad.abs().sum() > 0)) is tuned
    made = build("dino").train()
    assert made.frozen and not made.eyes.training and not made.embed(pictures()).requires_grad


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("squeezenet", [{}, {"layer": 3}, {"rows": 2}, {"columns": 2}]),
        ("dino", [{}, {"patches": [3, 3]}, {"grid": [1, 3]}]),
    ],
)
def test_whatever_changes_what_is_seen_is_in_its_sight(name: str, changes: list[dict[str, Any]]) -> None:
    assert len({build(name, **change).sight for change in changes}) == len(changes)


def test_dino_reads_the_class_and_the_places_of_patches() -> None:
    made = build("dino", patches=[2, 2], grid=[2, 2])
    tokens = torch.arange(5.0)[None, :, None].expand(1, 5, 32)

    class Eyes(nn.Module):
        def forward(self, pixel_values: Tensor) -> Any:
            return type("Seen", (), {"last_hidden_state": tokens})

    eyes = Eyes()
    eyes.config = made.eyes.config  # type: ignore[assignment]
    made.eyes = eyes
    seen = made.embed(pictures(1))[0]
    assert seen[:32].unique().tolist() == [0.0], "the class token first"
    assert seen[32:].reshape(32, 4)[0].tolist() == [1, 2, 3, 4], "then the patches, row by row"


def test_dino_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"policy 'dino' needs transformers.*pip install -e \"\.\[dino\]\""):
        build("dino")


def test_resnet_shrinks_by_four_before_its_stages_and_may_end_in_points() -> None:
    made = build("resnet", keypoints=5)
    seen = reaching(made.body["layer1"], lambda: made.embed(pictures()))
    assert seen.shape == (2, 8, 16, 24)
    points = made.embed(pictures())
    assert points.shape == (2, 10) and points.abs().max() <= 1


def test_a_cnn_finds_keypoints_on_a_quarter_size_grid_and_they_move_with_what_they_lie_on() -> None:
    torch.manual_seed(0)
    made = build("cnn", channels=(8, 16, 24, 16), keypoints=5)
    assert reaching(made.eye[-2], lambda: made.embed(pictures())).shape == (2, 16, 16, 24)
    points = made.embed(pictures())
    assert points.shape == (2, 10) and points.abs().max() <= 1
    maps = made.eye[-2].maps
    with torch.no_grad():  # a map that is bright where the picture is
        maps.weight.zero_()
    thing = torch.zeros(2, 1, 3, 64, 96, dtype=torch.uint8)
    thing[0, :, :, 20:28, 20:28] = thing[1, :, :, 28:36, 52:60] = 255
    seen = reaching(made.eye[-2], lambda: made.embed(thing))
    channel = int((seen.amax((2, 3)) - seen.mean((2, 3))).mean(0).argmax())
    with torch.no_grad():
        maps.weight[0, channel] = 50.0
    first, second = made.embed(thing)[:, :2]
    assert (second - first).tolist() == pytest.approx([16 / 23, 4 / 15], abs=0.05), "8 of 24 columns, 2 of 16 rows"


@pytest.mark.parametrize("name", ["cnn", "resnet"])
def test_fewer_keypoints_than_none_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="keypoints must be 0 or more, not -3"):
        build(name, keypoints=-3)


def test_resnet_reads_safetensors_and_names_what_is_not_there(tmp_path: Path) -> None:
    made = resnet.Config(weights=str(tmp_path / "r.safetensors")).build(SPEC)
    with pytest.raises(ConfigError, match="weights: there is no file"):
        made.begin()
    with pytest.raises(ConfigError, match="width must be 64 to read weights, not 8"):
        resnet.Config(weights="r.pt", width=8)
    save_file({name: value + 1 for name, value in made.body.state_dict().items()}, tmp_path / "r.safetensors")
    before = made.body["conv1"].weight.clone()
    made.begin()
    assert torch.equal(made.body["conv1"].weight, before + 1)
    untouched = resnet.Config(width=8).build(SPEC)
    before = untouched.body["conv1"].weight.clone()
    untouched.begin()
    assert torch.equal(untouched.body["conv1"].weight, before)


def test_fixed_statistics_scale_and_shift() -> None:
    made = resnet.Fixed(1)
    for name, value in (("weight", 3.0), ("bias", 5.0), ("running_mean", 2.0), ("running_var", 4.0)):
        getattr(made, name).fill_(value)
    assert made.train()(torch.full((1, 1, 2, 2), 6.0)).unique().item() == pytest.approx((6 - 2) / math.sqrt(4) * 3 + 5)


def test_a_squeezenet_of_other_shapes_is_refused(tmp_path: Path) -> None:
    made = squeezenet.Config(weights=str(tmp_path / "s.npz"), layer=2).build(SPEC)
    layers = {"conv1": made.trunk.first, "fire2__conv1x1_1": made.trunk.fires["2"].squeeze}  # type: ignore[union-attr]
    layers |= {"fire2__conv1x1_2": made.trunk.fires["2"].small, "fire2__conv3x3_2": made.trunk.fires["2"].large}  # type: ignore[union-attr]
    arrays = {f"{name}.w": layer.weight.detach().numpy() + 1 for name, layer in layers.items()}
    arrays |= {f"{name}.b": layer.bias.detach().numpy() + 1 for name, layer in layers.items()}
    np.savez(tmp_path / "s.npz", **arrays)
    made.begin()
    assert all(np.array_equal(layer.weight.detach(), arrays[f"{name}.w"]) for name, layer in layers.items())
    np.savez(tmp_path / "s.npz", **arrays | {"fire2__conv1x1_1.w": np.zeros((1, 96, 1, 1), np.float32)})
    with pytest.raises(ConfigError, match=r"'fire2__conv1x1_1.w' is missing or of another shape"):
        made.begin()


def test_the_first_convolutions_of_a_cnn_halve_the_picture() -> None:
    made = cnn.Config().build(SPEC)
    strides = [layer.stride[0] for layer in made.eye if isinstance(layer, nn.Conv2d)]
    assert strides == [2, 2, 2, 2, 1] and made.bottleneck.layers[0].in_features == 64 * 4 * 6 + 1
