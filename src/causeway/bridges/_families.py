"""The families of foundation models that the bridge ``diffusion`` knows, each by its pipelines in diffusers."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ._foundations import Foundation, Noised, Told, diffused, flowed

CALM = 1.0  # the guidance that a distilled flow model is tuned under: its data as they are
FLOW_STEPS = 1000  # the unit of time of Stable Diffusion 3
CLIP = (("tokenizer", 0),)
CLIP_TWICE = (*CLIP, ("tokenizer_2", 0))
CLIP_EYES = "openai/clip-vit-large-patch14"  # by which published IP-Adapters of FLUX see


class Stable(Foundation):
    """Stable Diffusion 1.x and 2.x, and models made from them."""

    pipelines = ("StableDiffusionImg2ImgPipeline", "StableDiffusionControlNetImg2ImgPipeline")
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


class Consistent(Foundation):
    """Latent consistency models, which draw in one to eight steps, have guidance built in, and lose both if tuned."""

    pipelines = ("LatentConsistencyModelImg2ImgPipeline",)
    consistent = True
    encoders = CLIP

    @property
    def pulls(self) -> bool:
        return False

    def told(self, prompt: str, negative: str) -> Told:
        return {"prompt_embeds": self.pipe.encode_prompt(prompt, self.device, 1, False)[0]}

    def noised(self, latents: Tensor) -> Noised:
        raise NotImplementedError("it is not tuned")

    def guess(self, noised: Noised, told: Told) -> Tensor:
        raise NotImplementedError("it is not tuned")


class Large(Foundation):
    """Stable Diffusion XL, which is told the size of its pictures too."""

    pipelines = ("StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLControlNetImg2ImgPipeline")
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
        size = torch.tensor([height, width, 0, 0, height, width], dtype=words.dtype, device=words.device)
        known = {"text_embeds": told["pooled_prompt_embeds"], "time_ids": size.expand(len(seen), -1)}
        known |= self.style_of(len(seen))
        found: Tensor = self.denoiser(seen, noised.time, words, added_cond_kwargs=known).sample
        return found


class Three(Foundation):
    """Stable Diffusion 3 and 3.5."""

    pipelines = ("StableDiffusion3Img2ImgPipeline",)
    adapts = False
    encoders = (*CLIP_TWICE, ("tokenizer_3", 256))
    folds = 2
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

    def asked(self, pictures: Tensor) -> dict[str, Any]:
        return {"height": pictures.shape[2], "width": pictures.shape[3]}


class Flux(Foundation):
    """FLUX.1, whose guidance is built in: it is pulled towards the prompt, never away from another."""

    pipelines = ("FluxImg2ImgPipeline", "FluxControlNetImg2ImgPipeline")
    encoders = (*CLIP, ("tokenizer_2", 512))
    folds = 2
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
        local, inside = Path(adapter).is_dir(), "" if folder == "." else folder
        beside = Path(adapter, inside, "image_encoder")
        self.pipe.load_ip_adapter(
            adapter,
            weight_name=name,
            subfolder=inside,
            image_encoder_pretrained_model_name_or_path=str(beside) if beside.is_dir() else CLIP_EYES,
            local_files_only=local,
        )

    def style_from(self, image: Any) -> Tensor:
        seen: Tensor = self.pipe.prepare_ip_adapter_image_embeds(image, None, self.device, 1)[0]
        return seen

    def asked(self, pictures: Tensor) -> dict[str, Any]:
        return {"height": pictures.shape[2], "width": pictures.shape[3]}


FAMILIES = (Stable, Consistent, Large, Three, Flux)


def _four(found: tuple[Tensor, Tensor, Tensor, Tensor], pulls: bool) -> Told:
    """Words and what is against them, then the same pooled, as encoders of two kinds give them."""
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    return {name: each for name, each in zip(names, found) if pulls or not name.startswith("negative")}
