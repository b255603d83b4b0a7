"""Foundation models of no known family: any pipeline of diffusers that redraws a picture by words and a strength."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, wraps
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import ConfigError
from ._foundations import Told, Untuned, quiet


class Other(Untuned):
    """A pipeline that is called as all of them can be: by words and pictures of PIL, and answered in arrays.

    It takes no part of the way between prompts, no image prompt and no ControlNet, for those differ between families.
    """

    untuned = "is of no family whose loss is known. Set tune = 'none'"
    adapts = False
    folds = 2
    schedulers = ("model",)

    def __init__(self, pipe: Any, noise: Any):
        super().__init__(pipe, noise)
        name = type(pipe).__name__
        given = {"prompt", "image", "strength"}
        demanded = {key for key, default in self.takes.items() if default is inspect.Parameter.empty}
        if not given <= self.takes.keys() or demanded - given or self.denoiser is None:
            raise ConfigError(
                f"bridge 'diffusion': a {name} does not redraw a picture by words and a strength. Name a model whose "
                "pipeline of diffusers goes from image to image so: Stable Diffusion 1, 2, XL and 3, FLUX.1 and others."
            )
        self.words = ("", "")
        self.encoded: dict[str, Any] = {}  # what was made of prompts, by how it was asked for
        if hasattr(pipe, "encode_prompt"):
            pipe.encode_prompt = self._remembered(pipe.encode_prompt)

    @property
    def denoiser(self) -> Any:
        return getattr(self.pipe, "transformer", None) or getattr(self.pipe, "unet", None)

    @property
    def stride(self) -> int:
        return int(getattr(self.pipe, "vae_scale_factor", 8)) * self.folds

    def convolving(self) -> list[Any]:
        return [self.denoiser]

    @cached_property
    def takes(self) -> dict[str, Any]:
        """What the pipeline's call takes, and what it takes where nothing is given."""
        asked = inspect.signature(self.pipe.__call__).parameters.values()
        return {each.name: each.default for each in asked if each.kind is not inspect.Parameter.VAR_KEYWORD}

    def limits(self) -> list[tuple[int, Any]]:
        tokenizer = getattr(self.pipe, "tokenizer", None)
        most = self.takes.get("max_sequence_length")
        return [] if tokenizer is None else [(most or tokenizer.model_max_length, tokenizer)]

    def say(self, prompt: str, negative: str, instance: str, origin: str = "", share: float = 1.0) -> None:
        if share < 1:
            name = type(self.pipe).__name__
            raise ConfigError(f"bridge 'diffusion': a {name} goes no part of the way between prompts: vary whole ones.")
        for text in (prompt, instance, *([negative] if self.pulls else [])):
            self.refuse_too_long(text)
        self.words = (prompt, negative)

    def told(self, prompt: str, negative: str) -> Told:
        return {}

    def redraw(self, pictures: Tensor, seeds: list[int], structure: Tensor | None) -> Tensor:
        (prompt, negative), count = self.words, len(pictures)
        pull = "true_cfg_scale" if "true_cfg_scale" in self.takes else "guidance_scale"
        asked = {
            "negative_prompt": [negative] * count if self.pulls else None,
            "height": pictures.shape[2],
            "width": pictures.shape[3],
            pull: self.guidance,
        }
        with quiet(), self._refusing():
            drawn: np.ndarray = self.pipe(
                prompt=[prompt] * count,
                image=[Image.fromarray(each) for each in (255 * pictures).round().byte().movedim(1, -1).cpu().numpy()],
                strength=self.strength,
                num_inference_steps=self.steps,
                generator=[torch.Generator().manual_seed(seed) for seed in seeds],
                output_type="np",
                **{name: value for name, value in asked.items() if name in self.takes},
            ).images
        return torch.from_numpy(drawn).movedim(-1, 1).to(pictures.device)

    def to(self, device: torch.device) -> None:
        if device != self.device:
            self.encoded.clear()
        super().to(device)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """What a pipeline says of settings that it does not take, as one of few steps does of more."""
        try:
            yield
        except (TypeError, ValueError) as error:
            said = str(error).splitlines()[0]
            name = type(self.pipe).__name__
            raise ConfigError(f"bridge 'diffusion': a {name} does not draw with these settings: {said}") from error

    def _remembered(self, encode: Any) -> Any:
        """A pipeline's encoding of prompts, which is asked for the same ones with each batch, that works once."""

        @wraps(encode)
        def remembered(*inputs: Any, **named: Any) -> Any:
            asked = repr((inputs, named))
            if asked not in self.encoded:
                self.encoded[asked] = encode(*inputs, **named)
            return self.encoded[asked]

        return remembered
