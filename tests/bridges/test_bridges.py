"""Bridges that are formulas, and the parts of those that learn: by hand."""

import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kornia.color import rgb_to_lab
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from causeway import parts
from causeway.bridges import colors, cut, fourier, identity, noise, small, style
from causeway.bridges._networks import Generator, Patches
from causeway.bridges._structure import structure
from causeway.data import Moments
from causeway.encoders import autoencoder, pixels
from causeway.errors import ConfigError, DataError


def painted(moments: Moments, scale: float, shift: float, seed: int = 0) -> Moments:
    """Moments of smooth noise of a given contrast and brightness."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=moments.frames.shape)
    return replace(moments, frames=(noise * scale + shift).clip(0, 255).astype(np.uint8))


def lab(frames: np.ndarray) -> Tensor:
    return rgb_to_lab(torch.from_numpy(frames).flatten(0, 1).float() / 255).transpose(0, 1).flatten(1)


@pytest.mark.parametrize("by", ["moments", "histogram"])
def test_colors_gives_theirs_mean_and_spread(by: str, moments: Callable[..., Moments]) -> None:
    ours, theirs = painted(moments(20), 20, 90), painted(moments(20), 8, 170, seed=1)
    made = colors.Config(by=by).build()  # type: ignore[arg-type]
    made.calibrate(ours, theirs)
    drawn = lab(made(torch.from_numpy(ours.frames)).numpy())
    wanted = lab(theirs.frames)
    assert torch.allclose(drawn.mean(1), wanted.mean(1), atol=1.0) and torch.allclose(
        drawn.std(1), wanted.std(1), rtol=0.1
    )


def test_histograms_follow_what_two_moments_cannot(moments: Callable[..., Moments]) -> None:
    ours, theirs = painted(moments(20), 20, 120), painted(moments(20), 1, 60, seed=1)
    two = theirs.frames.copy()
    two[:, :, :, :, ::4] = 220  # a quarter of theirs is white
    theirs = replace(theirs, frames=two)
    white = {}
    for by in ("moments", "histogram"):
        made = colors.Config(by=by).build()  # type: ignore[arg-type]
        made.calibrate(ours, theirs)
        drawn = made(torch.from_numpy(ours.frames)).float().mean(2)
        white[by] = float((drawn > 180).float().mean()), float(((drawn > 90) & (drawn < 180)).float().mean())
    assert white["histogram"][0] == pytest.approx(0.25, abs=0.05) and white["histogram"][1] < white["moments"][1]


def test_fourier_takes_low_amplitudes_and_leaves_phases(moments: Callable[..., Moments]) -> None:
    ours, theirs = painted(moments(1), 30, 120), painted(moments(1), 30, 120, seed=1)
    made = fourier.Config(frequencies=1, bank=1).build().eval()
    made.calibrate(ours, theirs)
    drawn = made(torch.from_numpy(ours.frames)).numpy()[0, 0, 0] / 255
    own, other = (np.fft.fft2(side.frames[0, 0, 0] / 255.0) for side in (ours, theirs))
    size = np.abs(own)
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            size[row, column] = np.abs(other[row, column])
    expected = np.fft.ifft2(size * np.exp(1j * np.angle(own))).real
    assert np.allclose(drawn, expected.clip(0, 1), atol=0.51 / 255 + 1e-3)


def test_fourier_draws_one_of_theirs_for_a_clip_and_many_while_training(moments: Callable[..., Moments]) -> None:
    ours, theirs = painted(moments(1), 10, 100), moments(40)
    theirs = replace(
        theirs, frames=(theirs.frames // 4 + np.arange(40)[:, None, None, None, None] * 4).astype(np.uint8)
    )
    made = fourier.Config(bank=8).build().eval()
    made.calibrate(ours, theirs)
    same = torch.from_numpy(ours.frames).expand(6, -1, -1, -1, -1)
    made.clip(1)
    one = made(same)
    assert torch.equal(one, one[:1].expand_as(one))
    made.clip(2)
    assert not torch.equal(made(same), one)
    made.train()
    assert len({float(each.float().mean()) for each in made(same)}) > 1
    with pytest.raises(ConfigError, match="pictures of 4x4 do not have so many"):
        fourier.Config(frequencies=3).build()(torch.zeros(1, 1, 3, 4, 4, dtype=torch.uint8))


def test_each_player_learns_from_its_own_loss_alone() -> None:
    generator, judge, pictures = Generator(4, 1), Patches(4), torch.rand(2, 3, 16, 16)
    judge.fooled(generator(pictures)).backward()
    assert all(w.grad is None for w in judge.parameters()) and all(w.grad is not None for w in generator.parameters())
    generator.zero_grad()
    judge.mistaken(pictures, generator(pictures)).backward()
    assert all(w.grad is not None for w in judge.parameters())
    assert all(w.grad is None for w in generator.parameters()), "zero_grad has left none"


def test_a_judge_that_is_never_wrong_costs_nothing_and_one_that_is_always_costs_one() -> None:
    judge = Patches(4)
    for weight in judge.parameters():
        nn.init.zeros_(weight)
    pictures = torch.rand(1, 3, 16, 16)
    assert judge.fooled(pictures).item() == 1.0 and judge.mistaken(pictures, pictures).item() == 0.5


def test_patches_are_found_by_chance_where_nothing_tells_them_apart() -> None:
    made = cut.Config(width=4, blocks=1, patches=16).build()
    flat = torch.zeros(1, 3, 32, 32)
    assert made._contrast(flat, flat).item() == pytest.approx(math.log(16), rel=1e-3)
    torch.manual_seed(0)
    busy = torch.rand(1, 3, 32, 32) * 2 - 1
    kept, lost = made._contrast(busy, busy), made._contrast(busy, busy.flip(3))
    assert kept < lost


def test_style_is_free_for_what_has_it_and_content_for_what_keeps_it() -> None:
    made = style.Config(encoder=pixels.Config(), layer=1).build()
    made.generator = nn.Identity()  # type: ignore[assignment]
    ours, theirs = torch.rand(2, 3, 24, 24) * 2 - 1, torch.rand(2, 3, 24, 24) - 1
    found = made.cost(ours, theirs, 0.0)
    assert float(found["content"]) == 0 and float(found["style"]) > 0.1
    assert float(made.cost(ours, ours, 0.0)["style"]) == pytest.approx(0, abs=1e-9)


def test_a_layer_that_an_encoder_has_not_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"layer = 3: pixels .* has layers 0 to 1"):
        style.Config(encoder=pixels.Config()).build().begin()


class Nothing(nn.Module):
    """A denoiser that sees no noise, and what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Tensor] = []

    def forward(self, z: Tensor, step: Tensor, class_labels: Tensor) -> object:
        self.told.append(class_labels)
        return type("Out", (), {"sample": torch.zeros(len(z), 8, *z.shape[2:])})()


def tiny(**settings: object) -> small.Small:
    torch.manual_seed(0)
    return small.Config(widths=(16,), **settings).build()  # type: ignore[arg-type]


def test_small_costs_the_noise_that_it_does_not_see() -> None:
    made = tiny()
    made.net = Nothing()
    seen = made.seen(torch.rand(64, 3, 32, 32) * 2 - 1)
    found = made.cost(seen, seen, 0.0)
    assert [float(each) for each in found.values()] == pytest.approx([0.5, 0.5], rel=0.05), "e has a variance of 1"


def test_small_forgets_the_domain_of_a_share_of_pictures() -> None:
    made = tiny(forget=0.25)
    made.net = Nothing()
    seen = made.seen(torch.rand(200, 3, 16, 16) * 2 - 1)
    made.cost(seen, seen, 0.0)
    told = made.net.told[0].abs().sum(1) > 0
    assert float(told.float().mean()) == pytest.approx(0.75, abs=0.06)


def test_small_pulls_towards_the_domain_by_guidance() -> None:
    """With guidance g a step uses free + g (told - free): the net is asked twice, and once where g is 1."""
    for guidance, asked in ((1.0, 2), (3.0, 4)):
        made = tiny(guidance=guidance, steps=4, strength=0.5).eval()
        made.net = Nothing()
        made(torch.zeros(1, 1, 3, 16, 16, dtype=torch.uint8))
        assert len(made.net.told) == asked, "half of four steps"


def test_another_autoencoder_is_named_as_the_reason() -> None:
    other = tiny()
    other.autoencoder = autoencoder.Autoencoder(4)
    with pytest.raises(RuntimeError) as caught:
        tiny().load_state_dict(other.state_dict())
    assert "name the one that it was made with" in parts.reason(caught.value)
    with pytest.raises(RuntimeError) as caught:
        tiny().load_state_dict(tiny(structure="segmentation", estimator="/no/such").state_dict())
    assert "autoencoder" not in parts.reason(caught.value)


def test_an_estimator_is_not_asked_where_the_structure_needs_none() -> None:
    for kind in ("edges", "none"):
        made = tiny(structure=kind, estimator="/no/such")
        made.check()
        assert made.seen(torch.rand(1, 3, 32, 32)).isfinite().all()


def test_guidance_goes_beyond_what_the_domain_says() -> None:
    """free + g (told - free): 3 where nothing is seen without the domain, 1 with it, and g is 3."""
    image = torch.randint(0, 255, (1, 1, 3, 16, 16), dtype=torch.uint8)
    drawn = []
    for guidance, level in ((3.0, 1.0), (1.0, 3.0)):
        made = tiny(guidance=guidance, steps=4).eval()
        made.denoise = lambda z, step, words, outlines, level=level: (  # type: ignore[method-assign,misc]
            torch.full_like(z, level if words.abs().sum() else 0.0)
        )
        drawn.append(made(image))
    assert torch.equal(*drawn)


@pytest.mark.parametrize("scheduler", ["ddim", "dpm", "euler"])
def test_small_gives_back_what_the_autoencoder_loses(scheduler: str) -> None:
    """With a denoiser that takes all of the noise away, and no more, the picture comes back whole."""
    made = tiny(strength=0.25, steps=4, scheduler=scheduler, guidance=1.0).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        made.scale.copy_(3 / made.latents(torch.rand(1, 3, 32, 32) * 2 - 1).std())  # far beyond -1..1
    image = torch.randint(0, 255, (1, 1, 3, 32, 32), dtype=torch.uint8)
    made.denoise = lambda z, *told: made._noise(z)  # type: ignore[method-assign]
    assert (made(image).int() - image.int()).abs().max() <= 1
    plain = replace(made.config, detail=0.0)
    made.config = plain
    assert (made(image).int() - image.int()).abs().float().mean() > 5, "a random autoencoder loses nearly all"


def test_the_look_of_one_picture_takes_the_place_of_the_average(
    moments: Callable[..., Moments], tmp_path: Path
) -> None:
    Image.new("RGB", (50, 30), (250, 20, 20)).save(tmp_path / "red.png")
    ours, theirs = moments(20), moments(20, seed=1)
    plain, asked = tiny(), tiny(image_prompt=str(tmp_path / "red.png"))
    asked.load_state_dict(plain.state_dict())
    for made in (plain, asked):
        made.calibrate(ours, theirs)
        made.prompt(ours)
    red = torch.tensor([250, 20, 20]).view(1, 3, 1, 1).expand(1, 3, *ours.frames.shape[3:]) / 127.5 - 1
    expected = small.look(asked.latents(red) * asked.scale)[0]
    assert torch.allclose(asked.theirs, expected, atol=1e-3) and not torch.allclose(plain.theirs, expected, atol=0.1)
    with pytest.raises(ConfigError, match=r"image_prompt /no/such\.png cannot be read"):
        tiny(image_prompt="/no/such.png").check()


def test_latents_are_first_given_the_means_and_spreads_of_theirs(moments: Callable[..., Moments]) -> None:
    ours, theirs = painted(moments(20), 20, 90), painted(moments(20), 8, 170, seed=1)
    made = tiny(tone=1.0)
    made.calibrate(ours, theirs)
    with torch.no_grad():
        sides = (torch.from_numpy(side.frames[:, 0]).float() / 127.5 - 1 for side in (ours, theirs))
        z, wanted = (made.latents(side) * made.scale for side in sides)
        toned, aim = small.look(made._toned(z)).mean(0), small.look(wanted).mean(0)
        assert torch.allclose(toned, aim, atol=0.05 * float(aim.abs().max()))
        made.vary("0.5")
        assert torch.allclose(made._toned(z), (z + tiny_toned(made, z)) / 2, atol=1e-4), (
            "half of the way, half of the tone"
        )
    plain = tiny(tone=0.0)
    plain.load_state_dict(made.state_dict())
    assert torch.equal(plain._toned(z), z)


def test_a_picture_is_toned_before_it_is_made_noisy(moments: Callable[..., Moments]) -> None:
    ours, theirs = painted(moments(20), 20, 90), painted(moments(20), 8, 170, seed=1)
    drawn = []
    for tone in (0.0, 1.0):
        made = tiny(tone=tone, strength=0.25, steps=4, scheduler="ddim", guidance=1.0).eval()
        made.calibrate(ours, theirs)
        made.denoise = lambda z, *told, made=made: made._noise(z)  # type: ignore[method-assign, misc]
        drawn.append(made(torch.from_numpy(ours.frames[:2])))
    assert not torch.equal(*drawn)


def tiny_toned(made: small.Small, z: Tensor) -> Tensor:
    ours, theirs = (each.view(2, -1, 1, 1) for each in (made.ours, made.theirs))
    return (z - ours[0]) / ours[1] * theirs[1] + theirs[0]


@torch.no_grad()
def test_what_lies_between_the_domains_can_be_drawn() -> None:
    made = tiny().eval()
    made.net, picture = Nothing(), torch.rand(2, 3, 32, 32) * 2 - 1
    made.domain.weight.copy_(torch.tensor([[0.0], [1.0]]).expand(2, made.domain.embedding_dim))
    made.style = nn.Linear(16, made.domain.embedding_dim, bias=False)
    made.style.weight.zero_()
    heard = {}
    for condition in made.conditions():
        made.vary(condition)
        made.net.told.clear()
        made.redraw(picture)
        heard[condition] = float(made.net.told[0].mean())
    assert heard == pytest.approx({"0.25": 0.25, "0.5": 0.5, "0.75": 0.75, "1": 1.0})
    made.style.weight.fill_(1.0)
    made.theirs.fill_(3.0)
    own = small.look(made.latents(picture) * made.scale).sum(1)
    made.vary("0.5")
    made.net.told.clear()
    made.redraw(picture)
    assert torch.allclose(made.net.told[0].mean(1), 0.5 + (own + 48) / 2, atol=1e-3), "each from its own look"
    with pytest.raises(ConfigError, match="no condition 'fog'"):
        made.vary("fog")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"strength": 0.0}, "strength is above 0"),
        ({"widths": (20,)}, "widths that 16 divides"),
        ({"blend": 1.5}, "blend and tone are shares"),
    ],
)
def test_what_small_cannot_be(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        small.Config(**wrong)


def test_the_real_autoencoder_gives_a_picture_back(data: Path) -> None:
    folder = data.parent / "weights" / "taef2"
    if not folder.is_dir():
        pytest.skip("no weights beside the data")
    photo = sorted((data / "road_scenes" / "test_images").glob("*.jpg"))[0]
    pixels_ = np.asarray(Image.open(photo).convert("RGB").resize((256, 144)))
    picture = torch.from_numpy(pixels_.copy()).permute(2, 0, 1)[None].float() / 255
    made = autoencoder.read(folder)
    with torch.no_grad():
        back = made.decode(made.encode(picture))
    noise = float(10 * torch.log10(1 / (back - picture).square().mean()))
    assert made.channels == 32 and noise > 25


def test_folders_that_hold_no_autoencoder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no \*encoder.pth"):
        autoencoder.read(tmp_path)
    made = autoencoder.Autoencoder(4, 16)
    save_file(made.encoder.state_dict(), tmp_path / "x_encoder.safetensors")
    save_file({"0.weight": torch.zeros(1)}, tmp_path / "x_decoder.safetensors")
    with pytest.raises(ConfigError, match="no tiny autoencoder of the TAESD family"):
        autoencoder.read(tmp_path)
    save_file(made.decoder.state_dict(), tmp_path / "x_decoder.safetensors")
    read = autoencoder.read(tmp_path)
    assert read.channels == 4 and all(torch.equal(a, b) for a, b in zip(read.parameters(), made.parameters()))


@pytest.mark.parametrize(("kind", "channels"), [("depth", 1), ("segmentation", 3)])
def test_small_is_told_how_near_things_are_or_what_they_are(
    kind: str, channels: int, folder: Callable[[str], str]
) -> None:
    made = tiny(structure=kind, estimator=folder(kind)).eval()
    made.check()
    pictures = torch.rand(2, 3, 24, 32) * 2 - 1
    told = made.seen(pictures)[:, made.autoencoder.channels :]
    shown = structure(kind, folder(kind), "")((pictures + 1) / 2)[:, :channels]
    assert torch.equal(torch.nn.functional.pixel_shuffle(told, 8), shown)
    images = ((pictures[:, None] + 1) * 127.5).to(torch.uint8)
    drawn = made(images)
    assert drawn.shape == images.shape and torch.equal(pickle.loads(pickle.dumps(made))(images), drawn)
    torch.nn.init.zeros_(made.edges.weight)
    assert not torch.equal(made(images), drawn), "the network is told"
    with pytest.raises(ConfigError, match=f"structure = '{kind}' needs an estimator"):
        tiny(structure=kind)
    with pytest.raises(ConfigError, match=r"bridge 'small'.*/no/such"):
        tiny(structure=kind, estimator="/no/such").check()


def test_noise_that_is_redrawn_stays_the_same_in_any_company() -> None:
    made = noise.Config(level=50).build().eval()
    images = torch.randint(0, 255, (3, 2, 3, 16, 24), dtype=torch.uint8)
    made.clip(1)
    drawn = made(images)
    assert torch.equal(torch.cat([made(each[None]) for each in images]), drawn)
    far = (drawn.float() - images).abs().mean((1, 2, 3, 4))
    assert far.min() > 0 and far.max() < 50 and len(far.unique()) == 3, "each moment has its own level"
    made.clip(2)
    assert not torch.equal(made(images), drawn) and torch.equal(noise.Config(level=0).build()(images), images)


def test_what_is_no_clip_is_refused() -> None:
    made = identity.Config().build()
    for shape, kind in (((3, 8, 8), torch.uint8), ((1, 1, 4, 8, 8), torch.uint8), ((1, 1, 3, 8, 8), torch.float32)):
        with pytest.raises(DataError, match=r"pictures \(T, cameras, 3, height, width\) of torch.uint8"):
            made.along(torch.zeros(shape, dtype=kind))
