"""A foundation model and what goes with it, read from folders or a hub, and made ready for the machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError, MissingExtra
from ..hub import nowhere
from ._families import FAMILIES
from ._foundations import SCHEDULERS, Foundation, quiet
from ._others import Other

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def foundation(model: str, controlnet: str, scheduler: str, precision: str, tune: str) -> Foundation:
    """The frozen foundation model ``model``, perhaps with a ControlNet; raises ConfigError where that cannot be had."""
    diffusers = library(*(["peft"] if tune == "lora" else []))
    with quiet():
        return _read(diffusers, model, controlnet, scheduler, TYPES[precision])


def _read(diffusers: Any, model: str, controlnet: str, scheduler: str, kind: torch.dtype) -> Foundation:
    with _found("model", model) as local:
        index = diffusers.DiffusionPipeline.load_config(model, local_files_only=local)
    parts: dict[str, Any] = {name: None for name, what in index.items() if what == [None, None]}  # left out, as a T5
    if "safety_checker" in index:
        # it makes pictures black that it mistakes: a camera must not go blind
        parts |= {"safety_checker": None, "requires_safety_checker": False}
    known = str(index.get("_class_name", ""))
    redrawing = known if "Img2Img" in known else known.removesuffix("Pipeline") + "Img2ImgPipeline"
    load = getattr(diffusers, redrawing, diffusers.AutoPipelineForImage2Image)
    if controlnet:
        load = diffusers.AutoPipelineForImage2Image
        if not any(redrawing in (each.pipeline, each.controlled) and each.controlled for each in FAMILIES):
            raise ConfigError(f"bridge 'diffusion': '{model}' is a {known}, which takes no ControlNet: leave it out.")
        with _found("controlnet", controlnet) as local:
            parts["controlnet"] = diffusers.AutoModel.from_pretrained(controlnet, dtype=kind, local_files_only=local)
    with _found("model", model) as local:
        pipe = load.from_pretrained(model, dtype=kind, local_files_only=local, **parts)
    name = type(pipe).__name__
    family = next((each for each in FAMILIES if name in (each.pipeline, each.controlled)), Other)
    if not (family.flows or family is Other) and pipe.unet.config.in_channels != pipe.vae.config.latent_channels:
        raise ConfigError(
            f"bridge 'diffusion': '{model}' takes more than a picture's latents: it is made to fill in, or for another "
            "task. Name the model for whole pictures."
        )
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.requires_grad_(False).eval()
    pipe.set_progress_bar_config(disable=True)
    noise = None if family.flows or family.untuned else diffusers.DDPMScheduler.from_config(pipe.scheduler.config)
    if scheduler != "model":
        if scheduler not in family.schedulers:
            raise ConfigError(
                f"bridge 'diffusion': '{model}' is drawn by a {name}, which does not suit scheduler = '{scheduler}': "
                f"take {' or '.join(map(repr, family.schedulers))}."
            )
        # where nothing is said of it DDIM clips what it draws to -1..1, which latents are not bound to
        whole = {} if "clip_sample" in pipe.scheduler.config or scheduler != "ddim" else {"clip_sample": False}
        pipe.scheduler = getattr(diffusers, SCHEDULERS[scheduler]).from_config(pipe.scheduler.config, **whole)
    return family(pipe, noise)


def styled(model: Foundation, picture: Path, adapter: str, file: str) -> Tensor:
    """Load an IP-Adapter; what it makes of a style ``picture``, as the pipeline takes it."""
    from PIL import Image, UnidentifiedImageError

    if not model.adapts:
        raise ConfigError(f"bridge 'diffusion' takes no image_prompt with a {type(model.pipe).__name__}.")
    try:
        with Image.open(picture) as opened:
            image = opened.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise ConfigError(f"image_prompt {picture} cannot be read: {error}") from None
    folder, name = str(Path(file).parent), Path(file).name
    learning = {id(weight) for weight in model.denoiser.parameters() if weight.requires_grad}
    try:
        with quiet():
            model.adapt(adapter, folder, name)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"bridge 'diffusion' cannot load '{file}' of the adapter '{adapter}': give a folder that holds it and, "
            f"beside it, image_encoder, or a hub id within reach. ({str(error).splitlines()[0]})"
        ) from None
    model.pipe.image_encoder.requires_grad_(False).eval()
    for weight in model.denoiser.parameters():
        weight.requires_grad_(id(weight) in learning)
    with torch.no_grad():
        return model.style_from(image)


def accelerated(model: Foundation, precision: str, channels_last: bool, compile: bool, recompute: bool) -> None:
    """Make the denoiser ready: what is left in float32 works in ``precision`` all the same."""
    denoiser, kind = model.denoiser, TYPES[precision]
    if any(weight.dtype != kind for weight in denoiser.parameters()):
        plain = denoiser.forward

        def forward(*inputs: Any, **named: Any) -> Any:
            with torch.autocast(denoiser.device.type, kind):
                return plain(*inputs, **named)

        denoiser.forward = forward
    if channels_last:
        for part in model.convolving():
            part.to(memory_format=torch.channels_last)
    if recompute:
        denoiser.enable_gradient_checkpointing()
    if compile:
        denoiser.compile()


def library(*others: str) -> Any:
    """diffusers, imported where it is needed, when ``others`` that it will be asked to work with are here too."""
    for name in ("diffusers", "transformers", *others):
        if find_spec(name) is None:
            raise MissingExtra("bridge 'diffusion'", name, "diffusion")
    import diffusers

    return diffusers


@contextmanager
def _found(setting: str, name: str) -> Iterator[bool]:
    """Whether ``name`` is a local folder, and what to do where it cannot be read."""
    if nowhere(name):
        raise ConfigError(f"bridge 'diffusion': there is no folder {name} for its {setting}.")
    try:
        yield Path(name).is_dir()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"bridge 'diffusion' cannot load {setting} '{name}': it is neither a folder of its kind nor reachable on "
            "the hub. Download it where there is a network, and give the path of a folder saved with save_pretrained. "
            f"({str(error).splitlines()[0]})"
        ) from None
