"""Families of foundation models: how each is told a prompt, which loss it learns by, and how it redraws.

A diffusion model guesses the noise in z_k = sqrt(abar_k) z + sqrt(1 - abar_k) e (Ho et al. 2020, equation 14), or what
else its ``prediction_type`` says; a flow model guesses the way e - z from z_s = (1 - s) z + s e (Lipman et al. 2023):

    loss = mean (guess(z_k) - e)^2          loss = mean (guess(z_s) - (e - z))^2
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from .. import hub
from ..errors import ConfigError

SCHEDULERS = {
    "ddim": "DDIMScheduler",
    "dpm": "DPMSolverMultistepScheduler",
    "lcm": "LCMScheduler",
    "euler": "EulerDiscreteScheduler",
}
Told = dict[str, Tensor]  # what prompts are turned into, by the names that a pipeline's call has for it


class Noised(NamedTuple):
    """Latents on the way to noise."""

    latents: Tensor  # (B, C, h, w)
    time: Tensor  # (B,), in the model's units
    truth: Tensor  # (B, C, h, w), what is to be guessed


class Foundation(ABC):
    """A pipeline of diffusers with what it was told. Its weights are frozen unless somebody thaws them."""

    pipeline: ClassVar[str]  # the class of diffusers, image to image
    controlled: ClassVar[str] = ""  # the same with a ControlNet; "" where there is none
    encoders: ClassVar[tuple[tuple[str, int], ...]]  # its tokenizers, and how many tokens each may give; 0 as it says
    folds: ClassVar[int] = 1  # latents along a side of a patch of the denoiser
    schedulers: ClassVar[tuple[str, ...]] = ("model", *SCHEDULERS)  # that suit it
    untuned: ClassVar[str] = ""  # why it cannot be tuned
    flows: ClassVar[bool] = False  # whether it is a flow, with a transformer
    adapts: ClassVar[bool] = True  # whether it takes an IP-Adapter

    strength: float
    steps: int
    guidance: float
    structure_scale: float
    style_scale: float

    def __init__(self, pipe: Any, noise: Any):
        self.pipe = pipe
        self.noise = noise  # the scheduler by which it learned
        self.style: Tensor | None = None  # an image prompt
        self.shown: Told = {}  # the prompts to redraw by
        self.called: Told = {}  # the prompt to tune by
        self.device = torch.device("cpu")

    @property
    def denoiser(self) -> Any:
        return self.pipe.transformer if self.flows else self.pipe.unet

    def convolving(self) -> list[Any]:
        """The parts whose convolutions may be laid out anew."""
        return [self.denoiser, self.pipe.vae]

    @property
    def stride(self) -> int:
        """Pixels that a picture's sides must be multiples of."""
        return int(self.pipe.vae_scale_factor) * self.folds

    @property
    def pulls(self) -> bool:
        """Whether guidance sets the prompts against the negative ones."""
        return self.guidance > 1

    def say(self, prompt: str, negative: str, instance: str, origin: str = "", share: float = 1.0) -> None:
        """Encode the prompts, once, and go ``share`` of the way from ``origin``; ConfigError where one is too long."""
        for text in (prompt, instance, *([negative] if self.pulls else []), *([origin] if share < 1 else [])):
            self.refuse_too_long(text)
        with torch.no_grad():
            self.shown, self.called = self.told(prompt, negative), self.told(instance, "")
            if share < 1:
                begun = self.told(origin, negative)
                self.shown = {name: torch.lerp(begun[name], value, share) for name, value in self.shown.items()}

    @abstractmethod
    def told(self, prompt: str, negative: str) -> Told:
        """Prompts as the pipeline takes them, of one picture."""

    @abstractmethod
    def noised(self, latents: Tensor) -> Noised:
        """Latents made noisy to different degrees, and what is to be guessed of them."""

    @abstractmethod
    def guess(self, noised: Noised, told: Told) -> Tensor:
        """What the denoiser makes of noisy latents under a prompt."""

    def asked(self, pictures: Tensor) -> dict[str, Any]:
        """What else the call of this family's pipelines takes."""
        return {}

    def to(self, device: torch.device) -> None:
        if device != self.device:
            self.pipe.to(device)
            self.shown, self.called = (
                {name: value.to(device) for name, value in part.items()} for part in (self.shown, self.called)
            )
            self.style = None if self.style is None else self.style.to(device)
            self.device = device

    def loss(self, pictures: Tensor) -> Tensor:
        """The mean squared error of the guess on pictures (B, 3, H, W) in 0..1, under the prompt to tune by."""
        if self.style is not None:
            self.pipe.set_ip_adapter_scale(0.0)  # what is tuned must work without the style picture too
        noised = self.noised(self.latents(2 * pictures - 1))
        return (self.guess(noised, repeated(self.called, len(pictures))).float() - noised.truth).square().mean()

    def redraw(self, pictures: Tensor, seeds: list[int], structure: Tensor | None) -> Tensor:
        """Pictures (N, 3, H, W) in 0..1 -> 0..1; each has noise by its own seed, so that none depends on the others."""
        more = self.asked(pictures)
        if structure is not None:
            more |= {"control_image": structure, "controlnet_conditioning_scale": self.structure_scale}
        if self.style is not None:
            self.pipe.set_ip_adapter_scale(self.style_scale)
            more |= {"ip_adapter_image_embeds": self.styled(self.style)}
        with quiet():
            drawn: Tensor = self.pipe(
                image=pictures,
                strength=self.strength,
                num_inference_steps=self.steps,
                guidance_scale=self.guidance,
                generator=[torch.Generator().manual_seed(seed) for seed in seeds],  # the CPU's: the same on any device
                output_type="pt",
                **repeated(self.shown, len(pictures)),
                **more,
            ).images
        return drawn

    def latents(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in -1..1 -> scaled latents (B, C, h, w) in float32, drawn from what the autoencoder says."""
        vae = self.pipe.vae
        if vae.dtype == torch.float16 and vae.config.force_upcast:
            vae.float()  # some autoencoders, as SDXL's, overflow in half precision
        with torch.no_grad():
            z = vae.encode(pictures.to(vae.dtype)).latent_dist.sample().float()
        scaled: Tensor = (z - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor
        return scaled

    def adapt(self, adapter: str, folder: str, name: str) -> None:
        """Load the IP-Adapter ``name`` in a ``folder`` of a folder or hub id, its image encoder beside it."""
        self.pipe.load_ip_adapter(adapter, folder, name, local_files_only=Path(adapter).is_dir())

    def style_from(self, image: Any) -> Tensor:
        """What the adapter makes of a picture, as the pipeline takes it."""
        seen: Tensor = self.pipe.prepare_ip_adapter_image_embeds(image, None, self.device, 1, self.pulls)[0]
        return seen

    def styled(self, style: Tensor) -> Any:
        """An image prompt, as the pipeline's call takes it: one for each of its IP-Adapters."""
        return [style]

    def style_of(self, count: int) -> dict[str, Any]:
        """The image prompt for ``count`` pictures, as a U-Net with an IP-Adapter wants it even at scale 0."""
        if self.style is None:
            return {}
        told = self.style.chunk(2)[-1] if self.pulls else self.style
        return {"image_embeds": [told.expand(count, *told.shape[1:])]}

    def limits(self) -> list[tuple[int, Any]]:
        """How many tokens each text encoder takes, marks included, and its tokenizer."""
        found = [(getattr(self.pipe, name, None), most) for name, most in self.encoders]
        return [(most or each.model_max_length, each) for each, most in found if each is not None]

    def refuse_too_long(self, prompt: str) -> None:
        """Where there are several text encoders, the prompt must fit the one that takes most."""
        if not (limits := self.limits()):
            return
        limit, tokenizer = max(limits, key=lambda pair: pair[0])
        length, marks = len(tokenizer(prompt, verbose=False).input_ids), tokenizer.num_special_tokens_to_add()
        if length > limit:
            raise ConfigError(
                f"bridge 'diffusion': '{prompt[:40]}...' is {length - marks} tokens long, but {limit - marks} fit the "
                "model's text encoder. Shorten the prompt."
            )


class Untuned(Foundation):
    """A foundation model that redraws and is never tuned."""

    def noised(self, latents: Tensor) -> Noised:
        raise NotImplementedError(self.untuned)

    def guess(self, noised: Noised, told: Told) -> Tensor:
        raise NotImplementedError(self.untuned)


@contextmanager
def quiet() -> Iterator[None]:
    """Without what libraries say of each file and picture, as that an autoencoder goes to float32 and back."""
    import diffusers
    import transformers

    with hub.quiet(diffusers.utils.logging), hub.quiet(transformers.utils.logging):
        yield


def repeated(told: Told, count: int) -> Told:
    """What was told of one picture, for ``count`` of them."""
    return {name: value.expand(count, *value.shape[1:]) for name, value in told.items()}


def diffused(scheduler: Any, latents: Tensor) -> Noised:
    """Latents at steps of a diffusion, and what its ``prediction_type`` has guessed."""
    noise = torch.randn_like(latents)
    time = torch.randint(scheduler.config.num_train_timesteps, (len(latents),), device=latents.device)
    truths = {
        "epsilon": noise,
        "v_prediction": scheduler.get_velocity(latents, noise, time),
        "sample": latents,
    }
    return Noised(scheduler.add_noise(latents, noise, time), time, truths[scheduler.config.prediction_type])


def flowed(latents: Tensor) -> Noised:
    """Latents on a straight way to noise, more often in its middle (Esser et al. 2024, equation 19), and that way."""
    noise = torch.randn_like(latents)
    share = torch.randn(len(latents), device=latents.device).sigmoid()
    s = share.view(-1, 1, 1, 1)
    return Noised((1 - s) * latents + s * noise, share, noise - latents)
