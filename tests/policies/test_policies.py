"""Each policy's own promises: pretrained weights, normalization, places in the picture."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from causeway.data import Moments, Spec
from causeway.errors import ConfigError
from causeway.policies import cnn, dino, resnet, squeezenet
from causeway.policies._keypoints import spatial_softmax

SPEC = Spec(cameras=1, height=64, width=96, state=1, horizon=1, action=2)


def test_units_come_from_the_demonstrations(moments: Callable[..., Moments]) -> None:
    recorded = moments(60)
    policy = cnn.Config().build(recorded.spec)
    policy.calibrate(recorded)
    assert policy.action_mean.tolist() == pytest.approx(recorded.actions.mean(0).tolist(), rel=1e-4)  # type: ignore[union-attr]
    assert policy.action_scale[1] == 1.0, "a constant action keeps scale 1"
    with torch.no_grad():
        policy.head.layers[-1].weight.zero_()
        policy.head.layers[-1].bias.zero_()
    batch = recorded.take(np.arange(3))
    assert torch.allclose(policy.eval().act(batch.images, batch.state)[:, 0], policy.action_mean.expand(3, 2))


def test_squeezenet_reads_real_weights(data: Path) -> None:
    weights = data.parent / "weights" / "squeezenet1_0" / "squeezenet1_0_imagenet.npz"
    policy = squeezenet.Config(weights=str(weights), layer=9, rows=1, columns=1).build(SPEC)
    policy.begin()
    with np.load(weights) as arrays:
        assert np.array_equal(policy.trunk.first.weight.detach().numpy(), arrays["conv1.w"])
        assert np.array_equal(policy.trunk.fires["9"].large.bias.detach().numpy(), arrays["fire9__conv3x3_2.b"])  # type: ignore[union-attr]
    assert not policy.trunk.first.weight.requires_grad and policy.frozen


def test_squeezenet_sees_what_imagenet_taught_it(data: Path) -> None:
    """The classifier on top of our features names a real photograph of a road as the network is known to."""
    from PIL import Image

    weights = data.parent / "weights" / "squeezenet1_0" / "squeezenet1_0_imagenet.npz"
    photo = (
        Image.open(sorted((data / "road_scenes" / "test_images").glob("*.jpg"))[0]).convert("RGB").resize((227, 227))
    )
    images = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None, None]
    policy = squeezenet.Config(weights=str(weights), layer=9, rows=13, columns=13).build(SPEC)
    policy.begin()
    with np.load(weights) as arrays, torch.no_grad():
        maps = policy.embed(images).reshape(1, 512, 13, 13)
        kernel, bias = torch.from_numpy(arrays["conv_final.w"]), torch.from_numpy(arrays["conv_final.b"])
        scores = torch.nn.functional.conv2d(maps, kernel, bias).relu().mean((2, 3)).softmax(1)[0]
    roads = {475, 586, 656, 705, 717, 751, 817, 829, 864, 867, 874, 919, 920, 640, 981, 818, 468, 609, 627, 734}
    assert scores.max() > 0.1 and set(scores.topk(5).indices.tolist()) & roads


def test_wrong_weights_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", **{"conv1.w": np.zeros((1, 2))})
    with pytest.raises(ConfigError, match=r"other.npz does not hold SqueezeNet 1.0: 'conv1.w'"):
        squeezenet.Config(weights=str(tmp_path / "other.npz")).build(SPEC).begin()
    with pytest.raises(ConfigError, match="there is no file"):
        squeezenet.Config(weights=str(tmp_path / "none.npz")).build(SPEC).begin()
    with pytest.raises(ConfigError, match="layer must be 2 to 9"):
        squeezenet.Config(layer=1)


def test_resnet_begins_from_a_state_dict_of_the_fields_names(tmp_path: Path) -> None:
    made = resnet.Config(weights=str(tmp_path / "r.pt")).build(SPEC)
    state = {name: torch.randn_like(value) * 0.05 for name, value in made.body.state_dict().items()}
    state |= {name: value.abs() + 0.5 for name, value in state.items() if name.endswith("running_var")}
    torch.save(
        state | {"fc.weight": torch.zeros(1000, 512), "bn1.num_batches_tracked": torch.tensor(3)}, tmp_path / "r.pt"
    )
    made.begin()
    assert torch.equal(made.body["layer4"][1].conv2.weight, state["layer4.1.conv2.weight"])  # type: ignore[index]
    torch.save({"conv1.weight": torch.zeros(2)}, tmp_path / "r.pt")
    with pytest.raises(ConfigError, match="does not hold a ResNet-18"):
        made.begin()


def test_spatial_softmax_points_at_the_brightest_place() -> None:
    maps = torch.full((1, 1, 5, 9), -20.0)
    maps[0, 0, 1, 8] = 20.0
    assert spatial_softmax(maps)[0, 0].tolist() == pytest.approx([1.0, -0.5], abs=1e-4)


def test_dino_loads_from_a_folder_and_stays_as_it_is(tmp_path: Path) -> None:
    from transformers import Dinov2Config, Dinov2Model

    tiny = Dinov2Config(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, image_size=70)
    saved = Dinov2Model(tiny)
    saved.save_pretrained(tmp_path / "tiny")
    policy = dino.Config(weights=str(tmp_path / "tiny"), patches=(3, 4), grid=(1, 2)).build(SPEC)
    policy.begin()
    assert all(torch.equal(a, b) for a, b in zip(policy.eyes.parameters(), saved.parameters()))
    assert policy.embed(torch.zeros(2, 1, 3, 64, 96, dtype=torch.uint8)).shape == (2, 24 * 3)
    assert not any(w.requires_grad for w in policy.eyes.parameters()) and policy.frozen


def test_a_finished_dino_needs_its_folder_no_more(tmp_path: Path) -> None:
    from transformers import Dinov2Config, Dinov2Model

    tiny = Dinov2Config(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, image_size=70)
    Dinov2Model(tiny).save_pretrained(tmp_path / "tiny")
    config = dino.Config(weights=str(tmp_path / "tiny"), patches=(3, 4), grid=(1, 2))
    policy = config.build(SPEC).eval()
    policy.begin()
    shutil.rmtree(tmp_path / "tiny")
    again = replace(config, **policy.kept()).build(SPEC).eval()
    again.load_state_dict(policy.state_dict())
    images = torch.randint(0, 255, (2, 1, 3, 64, 96), dtype=torch.uint8)
    assert torch.equal(again.embed(images), policy.embed(images))


def test_a_hub_id_without_a_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="and give the folder"):
        dino.Config(weights="nobody/nothing").build(SPEC)
