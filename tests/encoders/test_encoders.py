"""What encoders make of pictures, and of weights that are not theirs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from causeway.encoders import Look, pixels, squeezenet, vgg
from causeway.errors import ConfigError


def test_pixels_sees_mean_and_spread_of_each_cell() -> None:
    picture = torch.zeros(1, 3, 4, 8)
    picture[:, 0, :, 4:] = 1.0  # the right half is red
    picture[:, 1, ::2, :4] = 1.0  # the left one striped with green
    vector = Look(pixels.Config(rows=1, columns=2).build(), picture).vectors.view(2, 9, 1, 2)
    mean, spread = vector[0, :3, 0], vector[1, :3, 0]
    assert torch.allclose(mean, torch.tensor([[0.0, 1.0], [0.5, 0.0], [0.0, 0.0]]))
    assert torch.allclose(spread, torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, 0.0]]), atol=1e-6)


def test_a_look_is_had_once_and_at_any_size() -> None:
    counted = Counting(pixels.Config())
    look = Look(counted, torch.rand(2, 3, 20, 30))
    assert look.vectors.shape[0] == 2 and look.maps is look.maps and counted.count == 1
    assert look.maps_at(16)[0].shape == (2, 3, 16, 16) and look.maps_at(16) is look.maps_at(16) and counted.count == 2
    square = Look(counted, torch.rand(2, 3, 16, 16))
    assert square.maps_at(16) is square.maps


class Counting(pixels.Pixels):
    """How often it was asked."""

    count = 0

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self.count += 1
        return super().forward(pictures)


def test_squeezenet_knows_a_road(data: Path) -> None:
    made = squeezenet.Config(str(weights(data))).build()
    assert made.name == "SqueezeNet (ImageNet)" and not any(w.requires_grad for w in made.parameters())
    maps = made(torch.rand(1, 3, 64, 64))
    assert [seen.shape[1] for seen in maps] == [96, 128, 256, 384, 512] and (maps[-1] >= 0).all()


def weights(data: Path) -> Path:
    found = next((data.parent / "weights" / "squeezenet1_0").glob("*.npz"), None)
    if found is None:
        pytest.skip("no weights beside the data")
    return found


def test_files_of_another_kind_are_told(tmp_path: Path) -> None:
    (tmp_path / "words.npz").write_text("no arrays")
    torch.save({"a": torch.zeros(1)}, tmp_path / "torch.pth")
    np.save(tmp_path / "one.npy", np.zeros(3))
    for file in ("words.npz", "torch.pth", "one.npy"):
        with pytest.raises(ConfigError, match=f"{file} (is no .npz|does not hold)"):
            squeezenet.Config(str(tmp_path / file)).build()
    torch.save([1], tmp_path / "list.pth")
    (tmp_path / "words.safetensors").write_text("no tensors")
    for file in ("words.npz", "list.pth", "words.safetensors"):
        with pytest.raises(ConfigError, match=f"{file} is no state dict"):
            vgg.Config(str(tmp_path / file)).build()


def test_weights_that_are_not_there_or_not_its_own(tmp_path: Path) -> None:
    for module in (squeezenet, vgg):
        with pytest.raises(ConfigError, match="there is no file"):
            module.Config(str(tmp_path / "none")).build()
    np.savez(tmp_path / "other.npz", a=np.zeros(2))
    with pytest.raises(ConfigError, match="does not hold SqueezeNet"):
        squeezenet.Config(str(tmp_path / "other.npz")).build()
    with pytest.raises(ConfigError, match=r"is a folder\. Give the path of an \.npz; in it there is other\.npz\."):
        squeezenet.Config(str(tmp_path)).build()
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match="does not hold VGG-19"):
        vgg.Config(str(tmp_path / "other.safetensors")).build()


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_vgg_reads_the_usual_names_and_shows_layers_before_their_relu(ending: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    twin = vgg.Config().build()
    saved = {f"features.{name}": value.clone() for name, value in twin.features.state_dict().items()}
    path = tmp_path / f"vgg.{ending}"
    save_file(saved, path) if ending == "safetensors" else torch.save(saved, path)
    made, pictures = vgg.Config(str(path)).build(), torch.rand(2, 3, 40, 40)
    maps = made(pictures)
    assert all(torch.equal(a, b) for a, b in zip(maps, twin(pictures)))
    assert [seen.shape[1] for seen in maps] == [64, 128, 256, 512, 512, 512] and (maps[0] < 0).any()
    first = made.features[0]((pictures - made.mean) / made.std)
    assert torch.equal(maps[0], first) and made.vectors(maps).shape == (2, 512)
