"""The families of foundation models that the bridge ``diffusion`` knows, each by its pipelines in diffusers."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ._foundations import Foundation, Noised, Told, Untuned, diffused, flowed

CALM = 1.0  # the guidance that a distilled flow model is tuned under: its data as they are
FLOW_STEPS = 1000  # the unit of time of Stable Diffusion 3
CLIP = (("tokenizer", 0),)
CLIP_TWICE = (*CLIP, ("tokenizer_2", 0))
CLIP_EYES = "openai/clip-vit-large-patch14"  # by which published IP-Adapters of FLUX see
SIGLIP_EYES = "google/siglip-so400m-patch14-384"  # and of Stable Diffusion 3
AESTHETIC = 6.0  # the score that Stable Diffusion XL's refiner is told, as its pipeline tells it


class Stable(Foundation):
    """Stable Diffusion 1.x and 2.x, and models made from them."""

    pipeline = "StableDiffusionImg2ImgPipeline"
    controlled = "StableDiffusionControlNetImg2ImgPipeline"
    encoders = CLIP

    def told(self, prompt: str, negative: str) -> Told:
        words, against = self.pipe.encode_prompt(prompt, self.device, 1, self.pulls, negative)
        return {"prompt_embeds": words, **({"negative_prompt_embeds": against} if self.pulls else {})}

    def noised(self, latents: Tensor) -> Noised:
        return diffused(self.noise, latents)

    def guess(self, noised: Noised, told: Told) -> Tensor:
        words = told["prompt_embeds"]
        seen = noised.latents.to(words.dtype)
        found: Tensor = self.denoiser(seen, noised.time, words, added_cond_kwargs=self.style_of(len(seen))).sample
        return found


class Consistent(Untuned):
    """Latent consistency models, which draw in one to eight steps, have guidance built in, and lose both if tuned."""

    pipeline = "LatentConsistencyModelImg2ImgPipeline"
    untuned = "draws in few steps, and would forget it if tuned. Tune the model that it was made from"
    schedulers = ("model", "lcm")
    encoders = CLIP

    @property
    def pulls(self) -> bool:
        return False

    def told(self, prompt: str, negative: str) -> Told:
        return {"prompt_embeds": self.pipe.encode_prompt(prompt, self.device, 1, False)[0]}


class Large(Foundation):
    """Stable Diffusion XL, which is told the size of its pictures too."""

    pipeline = "StableDiffusionXLImg2ImgPipeline"
    controlled = "StableDiffusionXLControlNetImg2ImgPipeline"
    encoders = CLIP_TWICE

    def told(self, prompt: str, negative: str) -> Told:
        found = self.pipe.encode_prompt(
            prompt, device=self.device, do_classifier_free_guidance=self.pulls, negative_prompt=negative
        )
        return _four(found, self.pulls)

    def noised(self, latents: Tensor) -> Noised:
        return diffused(self.noise, latents)

    def guess(self, noised: Noised, told: Told) -> Tensor:
        words = told["prompt_embeds"]
        seen = noised.latents.to(words.dtype)
        height, width = (side * self.stride for side in seen.shape[2:])
        last = (AESTHETIC,) if self.pipe.config.requires_aesthetics_score else (height, width)
        size = torch.tensor([height, width, 0, 0, *last], dtype=words.dtype, device=words.device)
        known = {"text_embeds": told["pooled_prompt_embeds"], "time_ids": size.expand(len(seen), -1)}
        known |= self.style_of(len(seen))
        found: Tensor = self.denoiser(seen, noised.time, words, added_cond_kwargs=known).sample
        return found


class Three(Foundation):
    """Stable Diffusion 3 and 3.5."""

    pipeline = "StableDiffusion3Img2ImgPipeline"
    encoders = (*CLIP_TWICE, ("tokenizer_3", 256))
    folds = 2
    schedulers = ("model",)
    flows = True

    def told(self, prompt: str, negative: str) -> Told:
        found = self.pipe.encode_prompt(
            prompt, None, None, self.device, do_classifier_free_guidance=self.pulls, negative_prompt=negative
        )
        return _four(found, self.pulls)

    def noised(self, latents: Tensor) -> Noised:
        return flowed(latents)

    def guess(self, noised: Noised, told: Told) -> Tensor:
        words = told["prompt_embeds"]
        seen = noised.latents.to(words.dtype)
        found: Tensor = self.denoiser(seen, words, told["pooled_prompt_embeds"], noised.time * FLOW_STEPS).sample
        return found

    def adapt(self, adapter: str, folder: str, name: str) -> None:
        """Published ones have no image encoder beside them: they were made with SigLIP."""
        self.pipe.load_ip_adapter(
            adapter,
            name,
            _inside(folder),
            image_encoder_folder=_eyes(adapter, folder, SIGLIP_EYES),
            local_files_only=Path(adapter).is_dir(),
        )

    def style_from(self, image: Any) -> Tensor:
        seen: Tensor = self.pipe.prepare_ip_adapter_image_embeds(image, None, self.device, 1, self.pulls)
        return seen

    def styled(self, style: Tensor) -> Any:
        return style

    def asked(self, pictures: Tensor) -> dict[str, Any]:
        return {"height": pictures.shape[2], "width": pictures.shape[3]}


class Flux(Foundation):
    """FLUX.1, whose guidance is built in: it is pulled towards the prompt, never away from another."""

    pipeline = "FluxImg2ImgPipeline"
    controlled = "FluxControlNetImg2ImgPipeline"
    encoders = (*CLIP, ("tokenizer_2", 512))
    folds = 2
    schedulers = ("model",)
    flows = True

    @property
    def pulls(self) -> bool:
        return False

    def told(self, prompt: str, negative: str) -> Told:
        words, pooled, _ = self.pipe.encode_prompt(prompt, None, self.device)
        return {"prompt_embeds": words, "pooled_prompt_embeds": pooled}

    def noised(self, latents: Tensor) -> Noised:
        return flowed(latents)

    def guess(self, noised: Noised, told: Told) -> Tensor:
        words, (count, channels, height, width) = told["prompt_embeds"], noised.latents.shape
        places = self.pipe._prepare_latent_image_ids(count, height // 2, width // 2, self.device, words.dtype)
        style = None if self.style is None else self.style.expand(count, *self.style.shape[1:])
        calm = torch.full((count,), CALM, device=self.device) if self.denoiser.config.guidance_embeds else None
        found = self.denoiser(
            hidden_states=self.pipe._pack_latents(noised.latents.to(words.dtype), count, channels, height, width),
            encoder_hidden_states=words,
            pooled_projections=told["pooled_prompt_embeds"],
            timestep=noised.time.to(words.dtype),
            img_ids=places,
            txt_ids=torch.zeros(words.shape[1], 3, device=self.device, dtype=words.dtype),
            guidance=calm,
            joint_attention_kwargs=None if style is None else {"ip_adapter_image_embeds": [style]},  # even at scale 0
        ).sample
        scale = self.pipe.vae_scale_factor
        whole: Tensor = self.pipe._unpack_latents(found, height * scale, width * scale, scale)
        return whole

    def adapt(self, adapter: str, folder: str, name: str) -> None:
        """Published ones have no image encoder beside them: they were made with CLIP."""
        self.pipe.load_ip_adapter(
            adapter,
            weight_name=name,
            subfolder=_inside(folder),
            image_encoder_pretrained_model_name_or_path=_eyes(adapter, folder, CLIP_EYES),
            local_files_only=Path(adapter).is_dir(),
        )

    def style_from(self, image: Any) -> Tensor:
        seen: Tensor = self.pipe.prepare_ip_adapter_image_embeds(image, None, self.device, 1)[0]
        return seen

    def asked(self, pictures: Tensor) -> dict[str, Any]:
        return {"height": pictures.shape[2], "width": pictures.shape[3]}


FAMILIES = (Stable, Consistent, Large, Three, Flux)


def _inside(folder: str) -> str:
    """A folder of an adapter's repository, as diffusers calls it."""
    return "" if folder == "." else folder


def _eyes(adapter: str, folder: str, published: str) -> str:
    """The image encoder beside an adapter's file; where there is none, the ``published`` one, by its hub id."""
    beside = Path(adapter, folder, "image_encoder")
    return str(beside) if beside.is_dir() else published


def _four(found: tuple[Tensor, Tensor, Tensor, Tensor], pulls: bool) -> Told:
    """Words and what is against them, then the same pooled, as encoders of two kinds give them."""
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    return {name: each for name, each in zip(names, found) if pulls or not name.startswith("negative")}
