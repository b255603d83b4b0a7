"""The bridge ``diffusion`` on tiny models of the real classes: how it redraws."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import foundations
from causeway import finished
from causeway.bridges import _foundations, _loading, _structure, diffusion
from causeway.bridges._others import Other
from causeway.errors import ConfigError, MissingExtra
from foundations import Tiny, far, pictures

pytestmark = pytest.mark.slow

FAMILIES = ["stable", "consistent", "large", "three", "flux"]
OTHERS = ["zimage", "qwen", "chroma", "kandinsky"]


@pytest.mark.filterwarnings("ignore:`FluxPosEmbed` is deprecated:FutureWarning")  # diffusers, of its own
@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_each_family_redraws_pictures_of_any_size(family: str, tiny: Tiny) -> None:
    images = pictures(3, 2, 27, 37)
    made = tiny(family, batch=4)
    drawn = made(images)
    assert drawn.shape == images.shape and drawn.dtype == torch.uint8 and far(drawn, images) > 20
    assert torch.equal(made(images), drawn), "in evaluation it is a function"
    assert far(made(images[1:2]), drawn[1:2]) <= 1, "pictures do not see one another"
    same = made(images[:1].expand(3, -1, -1, -1, -1))
    assert far(same[0], same[2]) <= 1, "all have the noise of their clip"
    assert not made.state_dict() and not list(made.parameters()), "nothing of the foundation is its own"


def seen(made: diffusion.Diffusion, images: Tensor) -> list[Tensor]:
    """The time steps at which the denoiser looks at what, one batch each."""
    made.begin()
    found: list[Tensor] = []
    assert made._foundation
    made._foundation.denoiser.register_forward_pre_hook(lambda module, inputs: found.append(inputs[0]))
    made(images)
    return found


def test_steps_strength_guidance_and_batch_say_what_the_denoiser_does(tiny: Tiny) -> None:
    images = pictures(3)
    ten = seen(tiny(steps=10, strength=0.5, scheduler="ddim"), images)
    assert [len(each) for each in ten] == [6] * 5, "half of the steps, each of pictures with and without the prompt"
    assert [len(each) for each in seen(tiny(guidance=1.0, scheduler="ddim"), images)] == [3, 3]
    assert [len(each) for each in seen(tiny(guidance=1.0, scheduler="ddim", batch=2), images)] == [2, 2, 1, 1]
    assert ten[0].shape[2:] == (12, 16), "latents at the size of the pictures"
    large = seen(tiny(side=48, scheduler="ddim"), pictures(1, 1, 25, 31))
    assert large[0].shape[2:] == (24, 30), "and at the shorter side that was asked for"


def test_what_is_drawn_follows_strength_guidance_prompts_and_scheduler(tiny: Tiny, plain: Tensor) -> None:
    changes = [{"strength": 0.9}, {"guidance": 9.0}, {"prompt": "snow"}, {"negative_prompt": "snow"}]
    schedulers = [{"scheduler": name} for name in ("ddim", "dpm", "lcm", "euler")]
    others = [tiny(**each)(pictures()) for each in [*changes, *schedulers]]
    assert all(far(plain, other) > 1 for other in others)
    assert torch.equal(tiny(instance="snow")(pictures()), plain), "what is tuned on is not what is drawn"


@pytest.mark.parametrize("scheduler", ["ddim", "dpm", "lcm", "euler"])
def test_no_scheduler_clips_latents(scheduler: str, tiny: Tiny) -> None:
    """A guess of the noise that is right gives the latents back, however far they reach."""
    made = tiny(scheduler=scheduler, steps=4, strength=0.5)
    made.begin()
    assert made._foundation
    schedule = made._foundation.pipe.scheduler
    schedule.set_timesteps(4)
    z, noise = 4 * torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    last = schedule.timesteps[-1:]
    if hasattr(schedule, "set_begin_index"):
        schedule.set_begin_index(3)
    guess = noise
    found = schedule.step(guess, last[0], schedule.add_noise(z, noise, last)).prev_sample
    assert torch.allclose(found, z, atol=0.3)


def test_strength_decides_how_much_of_a_picture_is_left(tiny: Tiny) -> None:
    images = pictures()
    nothing = images.flip(0)
    weak, strong = ((tiny(strength=s, steps=10)(images), tiny(strength=s, steps=10)(nothing)) for s in (0.1, 1.0))
    assert far(*weak) > 2 * far(*strong)


def test_noise_is_the_same_along_a_clip_and_another_in_the_next(tiny: Tiny) -> None:
    images, made = pictures(), tiny()
    made.clip(1)
    one = made(images)
    made.clip(2)
    assert far(made(images), one) > 1
    made.clip(1)
    assert torch.equal(made(images), one)
    made.train()
    torch.manual_seed(0)
    drawn = made(images)
    assert far(made(images), drawn) > 1, "in training the noise is another each time"
    torch.manual_seed(0)
    assert torch.equal(made(images), drawn)


def test_pictures_that_hardly_change_are_given_the_last_drawing(tiny: Tiny) -> None:
    images = pictures(1, 2).repeat(5, 1, 1, 1, 1)
    images[1, 0] += 1
    images[2, 0] += 2  # neighbours differ by one, but it by two from what was drawn
    images[4] += 9
    every, made = tiny(batch=1)(images), tiny(batch=1, skip=1.5)
    drawn = made.along(images)
    sources = [[0, 0], [0, 0], [2, 0], [2, 0], [4, 4]]
    sources[3][0] = 3  # the fourth is as the first again, two from the third
    for row, of in enumerate(sources):
        assert all(torch.equal(drawn[row, camera], every[of[camera], camera]) for camera in (0, 1)), row
    assert torch.equal(made.along(images[4:] + 1), drawn[4:]), "over calls too"
    assert torch.equal(made(images[4:] + 1), tiny()(images[4:] + 1)), "but not where pictures do not follow"
    made.clip(0)
    assert torch.equal(made.along(images[4:] + 1), tiny()(images[4:] + 1)), "nor into another clip"
    assert made.remembers and not tiny().remembers
    assert made.along(pictures(1, 1)).shape == (1, 1, 3, 24, 32), "nor over another set of cameras"


def test_edges_are_white_where_brightness_changes() -> None:
    square = torch.zeros(1, 3, 32, 32)
    square[:, :, 8:24, 4:24] = 1
    lines = _structure.edges(square)
    assert lines.shape == square.shape and set(lines.unique().tolist()) == {0.0, 1.0}
    rows = lines[0, 0].sum(1)
    assert rows[7:9].max() >= 16 and rows[15] == 2 and lines[0, 0, 12:20, 12:20].sum() == 0
    assert (lines[0, 0, 15].nonzero().flatten() - torch.tensor([4, 24])).abs().max() <= 1


def test_a_controlnet_is_shown_the_edges_of_each_picture(
    tiny: Tiny, folder: Callable[[str], str], plain: Tensor
) -> None:
    images, held = pictures(), {"structure": "edges", "controlnet": folder("controlnet")}
    assert torch.equal(tiny(**held, structure_scale=0.0)(images), plain)
    made = tiny(**held)
    made.begin()
    shown: list[Tensor] = []
    assert made._foundation
    made._foundation.pipe.controlnet.register_forward_pre_hook(
        lambda module, inputs, named: shown.append(named["controlnet_cond"]), with_kwargs=True
    )
    drawn = made(images)
    assert far(drawn, plain) > 1
    edges = _structure.edges(images[:, 0].float() / 255)
    assert edges.sum() > 0 and torch.equal(shown[0], torch.cat([edges, edges])), "with and without the prompt"
    assert far(tiny(**held, structure_scale=2.0)(images), drawn) > 1


@pytest.mark.filterwarnings("ignore:`FluxPosEmbed` is deprecated:FutureWarning")  # diffusers, of its own
@pytest.mark.parametrize("model", ["large", "flux"])
def test_other_families_take_controlnets_too(
    model: str, tiny: Tiny, folder: Callable[[str], str], tmp_path: Path
) -> None:
    images, made = pictures(), foundations.flux_controlnet if model == "flux" else foundations.controlnet
    held = {"structure": "edges", "controlnet": str(made(tmp_path / "controlnet", Path(folder(model))))}
    without = tiny(model, **held, structure_scale=0.0)(images)
    assert far(tiny(model, **held)(images), without) > 1
    if model == "large":  # diffusers redraws by FLUX in another way where there is a ControlNet
        assert torch.equal(without, tiny(model)(images))


@pytest.mark.parametrize("model", ["large", "consistent", "three", "flux"])
def test_other_families_take_image_prompts_too(
    model: str, tiny: Tiny, folder: Callable[[str], str], style: dict[str, Any], tmp_path: Path
) -> None:
    made = getattr(foundations, f"{model}_adapter", foundations.adapter)
    asked = style | {"adapter": str(made(tmp_path / "adapter", Path(folder(model))))}
    plain = tiny(model)(pictures(3)[:2])
    drawn = tiny(model, **asked, batch=3)(pictures(3))[:2]
    assert far(drawn[:1], plain[:1]) > 1 and far(drawn[1:], plain[1:]) > 1
    assert far(tiny(model, **asked, batch=1)(pictures(3)[:2]), drawn) <= 1, "whatever shares its batch"
    assert far(tiny(model, **asked, adapter_scale=0.0)(pictures(3)[:2]), plain) <= 1
    assert far(tiny(model, **asked, guidance=1.0)(pictures(3)[:2]), tiny(model, guidance=1.0)(pictures(3)[:2])) > 1


def test_depth_is_near_to_far_in_each_picture(tiny: Tiny, folder: Callable[[str], str], plain: Tensor) -> None:
    condition = _structure.structure("depth", folder("depth"), "")(pictures(2)[:, 0].float() / 255)
    assert condition.shape == (2, 3, 24, 32) and torch.equal(condition[:, 0], condition[:, 2])
    assert condition.amin((1, 2, 3)).max() < 0.1 and condition.amax((1, 2, 3)).min() > 0.9
    held = {"structure": "depth", "controlnet": folder("controlnet"), "estimator": folder("depth")}
    assert far(tiny(**held)(pictures()), plain) > 1


def test_each_class_has_its_colour(tiny: Tiny, folder: Callable[[str], str], plain: Tensor, tmp_path: Path) -> None:
    (tmp_path / "colours").write_text("255 0 0\n0 255 0\n0 0 255\n", encoding="utf-8")
    seen = pictures(2)[:, 0].float() / 255
    own, any_ = (
        _structure.structure("segmentation", folder("segmentation"), palette)(seen)
        for palette in (str(tmp_path / "colours"), "")
    )
    assert own.shape == (2, 3, 24, 32) and torch.equal(own.sum(1), torch.ones(2, 24, 32)) and own.unique().numel() == 2
    classes = own.argmax(1)
    assert len(classes.unique()) > 1
    for one in classes.unique():
        assert any_.permute(0, 2, 3, 1)[classes == one].unique(dim=0).shape[0] == 1
    held = {"structure": "segmentation", "controlnet": folder("controlnet"), "estimator": folder("segmentation")}
    assert far(tiny(**held)(pictures()), plain) > 1
    for wrong, said in (("255 0 0", "needs 3 lines"), ("1 2\n3 4\n5 6", "needs 3 lines"), ("red", "cannot be read")):
        (tmp_path / "wrong").write_text(wrong, encoding="utf-8")
        with pytest.raises(ConfigError, match=said):
            _structure.structure("segmentation", folder("segmentation"), str(tmp_path / "wrong"))


def test_an_image_prompt_changes_what_is_drawn(
    tiny: Tiny, style: dict[str, Any], plain: Tensor, tmp_path: Path
) -> None:
    images = pictures()
    drawn = tiny(**style)(images)
    assert far(drawn, plain) > 1
    assert far(tiny(**style, adapter_scale=0.0)(images), plain) <= 1
    Image.new("RGB", (20, 20), (30, 30, 200)).save(tmp_path / "style.png")
    assert far(tiny(**style)(images), drawn) > 1
    assert far(tiny(**style, guidance=1.0)(images), tiny(guidance=1.0)(images)) > 1


def test_tuning_knows_nothing_of_the_image_prompt(tiny: Tiny, style: dict[str, Any], plain: Tensor) -> None:
    theirs = pictures(3)[:, 0].float() / 127.5 - 1
    for guidance in (1.0, 3.0):
        losses = []
        for made in (tiny(tune="lora", guidance=guidance), tiny(tune="lora", guidance=guidance, **style)):
            drawn = made(pictures()) if made.config.image_prompt else plain
            torch.manual_seed(0)
            losses.append(made.cost(theirs, theirs, 0.0)["denoise"])
            losses[-1].backward()
        assert torch.allclose(*losses)
        assert made._foundation and made.tuned
        learning = [weight for weight in made._foundation.denoiser.parameters() if weight.requires_grad]
        assert len(learning) == len(list(made.tuned.parameters()))
        assert torch.equal(made(pictures()), drawn) and far(drawn, plain) > 1, "which is there again where it redraws"


@pytest.mark.parametrize("model", ["three", "flux"])
def test_tuning_a_flow_knows_nothing_of_the_image_prompt(
    model: str, tiny: Tiny, folder: Callable[[str], str], style: dict[str, Any], tmp_path: Path
) -> None:
    theirs = pictures(3)[:, 0].float() / 127.5 - 1
    adapter = getattr(foundations, f"{model}_adapter")(tmp_path / "adapter", Path(folder(model)))
    asked = style | {"adapter": str(adapter)}
    losses = []
    for made in (tiny(model, tune="lora", prompt="x"), tiny(model, tune="lora", prompt="x", **asked)):
        made.begin()
        torch.manual_seed(0)
        losses.append(made.cost(theirs, theirs, 0.0)["denoise"])
        losses[-1].backward()
    assert torch.allclose(*losses)


def test_what_makes_it_quicker_changes_no_picture(tiny: Tiny, plain: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    images = pictures()
    last = tiny(channels_last=True)
    assert far(last(images), plain) <= 1 and last._foundation
    for part in (last._foundation.denoiser, last._foundation.pipe.vae.decoder):
        assert part.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    half = tiny(precision="bfloat16")(images)
    assert 0 < (half.float() - plain.float()).abs().mean() < 8
    compiled: list[Any] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(type(module).__name__))
    assert torch.equal(tiny(compile=True)(images), plain) and compiled == ["UNet2DConditionModel"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"strength": 0.0}, "strength is above 0"),
        ({"strength": 0.09, "steps": 10}, "would stay as it is"),
        ({"steps": 0}, "1 or more"),
        ({"batch": 0}, "batch and rank"),
        ({"guidance": -1.0}, "0 or more"),
        ({"image_prompt": "a.png"}, "needs an adapter"),
        ({"structure": "edges"}, "needs a controlnet"),
        ({"structure": "depth", "controlnet": "c"}, "needs an estimator"),
        ({"structure": "segmentation", "controlnet": "c"}, "needs an estimator"),
        ({"tune": "lora", "prompt": ""}, "needs words"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        diffusion.Config(**settings)


@pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks`")  # diffusers' own, where it asks the hub
def test_what_cannot_be_loaded_is_named_with_a_way_out(
    tiny: Tiny, folder: Callable[[str], str], style: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    held = {"structure": "edges", "controlnet": folder("controlnet")}
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("there is no folder /no/such/folder for its model", {"model": "/no/such/folder"}),
        ("model 'nobody/nothing'.*folder saved with save_pretrained", {"model": "nobody/nothing"}),
        ("there is no folder /no/such/folder for its controlnet", {**held, "controlnet": "/no/such/folder"}),
        ("StableDiffusion3Pipeline, which takes no ControlNet", {**held, "model": folder("three")}),
        ("LatentConsistencyModelPipeline, which takes no ControlNet", {**held, "model": folder("consistent")}),
        ("there is no folder /no/such\\.", {**held, "structure": "depth", "estimator": "/no/such"}),
        ("cannot load 'no/such' by AutoModelFor", {**held, "structure": "depth", "estimator": "no/such"}),
        ("image_prompt /no/such.png cannot be read", {**style, "image_prompt": "/no/such.png"}),
        ("image_prompt .* cannot be read", {**style, "image_prompt": folder("stable") + "/model_index.json"}),
        ("'models/other.bin' of the adapter", {**style, "adapter_weights": "models/other.bin"}),
        ("no image_prompt with a ZImageImg2ImgPipeline", {**style, "model": folder("zimage")}),
        ("ZImagePipeline, which takes no ControlNet", {**held, "model": folder("zimage")}),
        ("of no family whose loss is known", {"model": folder("zimage"), "tune": "lora", "prompt": "x"}),
        ("FluxKontextPipeline does not redraw a picture by words and a strength", {"model": folder("kontext")}),
        ("not suit scheduler = 'dpm': take 'model'", {"model": folder("three"), "scheduler": "dpm"}),
        ("not suit scheduler = 'ddim': take 'model' or 'lcm'", {"model": folder("consistent"), "scheduler": "ddim"}),
        ("not suit scheduler = 'ddim': take 'model'", {"model": folder("qwen"), "scheduler": "ddim"}),
        ("takes more than a picture's latents", {"model": folder("filling")}),
        ("device = 'teapot' is not here", {"device": "teapot"}),
        ("device = 'cuda:77' is not here", {"device": "cuda:77"}),  # a study is planned and reported on any machine
        ("Tune the model that it was made from", {"model": folder("consistent"), "tune": "lora", "prompt": "x"}),
    ]
    for said, settings in wrong:
        with pytest.raises(ConfigError, match=said):
            diffusion.Config(**{"model": folder("stable"), **settings}).build().begin()


@pytest.mark.filterwarnings("ignore:`FluxPosEmbed` is deprecated:FutureWarning")  # diffusers, of its own
@pytest.mark.parametrize("model", OTHERS)
def test_a_model_of_no_known_family_follows_what_all_are_told(model: str, tiny: Tiny) -> None:
    images = pictures()
    drawn = tiny(model, strength=0.8)(images)
    changes = [{"prompt": "snow"}, {"negative_prompt": "snow"}, {"guidance": 30.0}, {"steps": 8}, {"strength": 0.5}]
    for change in changes:
        assert far(tiny(model, **{"strength": 0.8, **change})(images), drawn) > 0, change
    made = tiny(model, channels_last=True, strength=0.8)
    assert far(made(images), drawn) <= 1
    made.clip(1)
    assert far(made(images), drawn) > 1, "another clip, other noise"
    with pytest.raises(ConfigError, match="goes no part of the way between prompts"):
        made.vary("night", "0.5")
    made.vary("night")
    assert made._foundation.words[0] == "a street, at night, street lights"  # type: ignore[union-attr]


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_a_known_family_is_drawn_as_one_of_no_known_family_is(
    guidance: float, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pictures(3)
    for model in ("stable", "large", "three"):
        known, other = tiny(model, guidance=guidance), tiny(model, guidance=guidance)
        known.begin()
        with monkeypatch.context() as patch:
            patch.setattr(_loading, "FAMILIES", ())
            other.begin()
        assert isinstance(other._foundation, Other) and not isinstance(known._foundation, Other)
        assert far(other(images), known(images)) <= 1, model


def test_a_model_of_no_known_family_reads_its_prompts_once(tiny: Tiny) -> None:
    made = tiny("zimage", batch=1)
    made.begin()
    model, read = made._foundation, []
    assert isinstance(model, Other)
    model.pipe.text_encoder.register_forward_pre_hook(lambda *_: read.append(1))
    drawn = made(pictures(3))
    assert len(read) == 2, "the prompt and the negative one, though there are three batches"
    assert torch.equal(made(pictures(3)), drawn) and len(read) == 2
    made.vary("night")
    assert far(made(pictures(3)), drawn) > 0 and len(read) > 2
    model.to(torch.device("cpu:0"))
    assert not model.encoded, "what was made on one device is of no use on another"


@pytest.mark.parametrize(
    ("family", "most"), [("stable", 75), ("large", 75), ("refiner", 75), ("three", 75), ("flux", 510), ("zimage", 512)]
)
def test_a_prompt_that_is_too_long_is_refused(family: str, most: int, tiny: Tiny) -> None:
    made, long = tiny(family, prompt="x " * most), "x " * (most + 1)
    made.begin()
    model = made._foundation
    assert model
    for prompts in ((long, "", ""), ("", "", long), *([("", long, "")] if model.pulls else [])):
        with pytest.raises(ConfigError, match=f"is {most + 1} tokens long, but {most} fit"):
            model.say(*prompts)
    model.guidance = 1.0
    model.say("", long, "")  # no negative prompt is read then


def test_no_memory_names_what_to_lower(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny(tune="lora")
    made.begin()
    raised: list[RuntimeError] = []

    def full(*_: Any) -> Any:
        raise raised[-1]

    monkeypatch.setattr(_foundations.Foundation, "redraw", full)
    monkeypatch.setattr(_foundations.Foundation, "loss", full)
    for error in (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
        torch.OutOfMemoryError("no more"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried to allocate"),
    ):
        raised.append(error)
        with pytest.raises(ConfigError, match="no memory to redraw: lower batch or side, or set"):
            made(pictures())
        with pytest.raises(ConfigError, match=r"no memory to tune: lower method.batch .* recompute = true"):
            made.cost(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16), 0.0)
    raised.append(RuntimeError("sizes differ"))
    with pytest.raises(RuntimeError, match="sizes differ"):
        made(pictures())


def test_what_changes_no_drawing_may_be_changed_half_way(tiny: Tiny) -> None:
    made, one = tiny(batch=4), tiny(batch=1, channels_last=True)
    assert finished.plainly(made.config) == finished.plainly(one.config), "so what was redrawn is gone on with"
    assert finished.plainly(made.config) != finished.plainly(tiny(strength=0.6).config)
    finished.quickened(made, {"batch": 1}, Path("run"))
    assert made.config.batch == 1 and made.config.prompt == one.config.prompt
    assert far(made(pictures(3)), tiny(batch=4)(pictures(3))) <= 1
    with pytest.raises(ConfigError, match=r"bridge.strength: run redraws as it was trained. Only batch, device"):
        finished.quickened(made, {"strength": 0.9}, Path("run"))


class Demanding:
    """A pipeline that cannot do without more than words and a picture."""

    unet = torch.nn.Conv2d(4, 4, 1)

    def __call__(self, prompt: str, image: Any, image_embeds: Tensor, strength: float = 0.5, **named: Any) -> None: ...


def test_a_pipeline_that_demands_more_is_refused(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="a Demanding does not redraw a picture by words and a strength"):
        Other(Demanding(), None)
    made = tiny("zimage")
    made.begin()
    assert made._foundation
    monkeypatch.setattr(type(made._foundation.pipe), "get_timesteps", refuse)
    with pytest.raises(ConfigError, match=r"ZImageImg2ImgPipeline does not draw with .*: two steps, no more"):
        made(pictures())


def refuse(*_: Any, **__: Any) -> None:
    raise ValueError("two steps, no more\nas it was made")


def test_a_foundation_model_is_loaded_by_each_process(tiny: Tiny) -> None:
    for made in (tiny(), tiny(tune="lora", prompt="x")):
        expected = made(pictures())
        sent = pickle.dumps(made)
        assert torch.equal(pickle.loads(sent)(pictures()), expected)
        assert made.tuned is not None or len(sent) < 10_000


def test_no_number_is_not_drawn_as_black(tiny: Tiny) -> None:
    made = tiny()
    made.begin()
    assert made._foundation
    made._foundation.pipe.vae.decoder.conv_out.bias.data.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="no number in precision = 'float32'"):
        made(pictures())


@pytest.mark.parametrize("library", ["diffusers", "peft", "transformers"])
def test_an_absent_library_is_named(
    library: str, tiny: Tiny, folder: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {"structure": "depth", "controlnet": folder("controlnet"), "estimator": folder("depth")}
    made = {"diffusers": tiny(), "peft": tiny(tune="lora"), "transformers": tiny(**held)}[library]
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=f"needs {library}.*diffusion"):
        made.begin()
