"""A foundation model redraws pictures, image to image, through diffusers; a handful of them tunes it.

A picture's latents are made noisy as far as ``strength`` and cleaned again under a prompt (Meng et al. 2022), a style
picture (IP-Adapter, Ye et al. 2023) and the picture's own structure (ControlNet, Zhang et al. 2023). Tuning shows the
model few pictures of the other side under a prompt of their own (DreamBooth, Ruiz et al. 2023; or LoRA, Hu et al.
2022), by the loss that the model was made with. The settings of arXiv 2507.00236 are in docs/methods/diffusion.md.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ..errors import ConfigError, nearest
from ..room import roomy
from . import BLENDS, Bridge, quantized
from ._foundations import Foundation
from ._loading import accelerated, foundation, styled
from ._memory import skip
from ._structure import refuse_blind, structure
from ._tuned import Tuned, lora, weights

CONDITIONS = {  # in the words of a prompt
    "fog": "in thick fog",
    "rain": "in heavy rain, wet road, reflections",
    "snow": "in snow, snowy road",
    "dawn": "at dawn",
    "noon": "at noon, hard sunlight",
    "dusk": "at dusk, golden light",
    "night": "at night, street lights",
    "spring": "in spring, fresh green",
    "summer": "in summer, full foliage",
    "autumn": "in autumn, brown leaves",
    "winter": "in winter, bare trees",
    "city": "in a city street, tall buildings, parked cars",
    "suburb": "in a quiet suburb, houses and gardens",
    "countryside": "on a country road, fields",
    "highway": "on a highway, guard rails",
    "tunnel": "in a tunnel, artificial light",
    "roadworks": "at roadworks, cones and barriers",
}


@dataclass(frozen=True)
class Config:
    """The foundation model, what it is told, how far it may go, and how it is tuned."""

    quick: ClassVar[tuple[str, ...]] = ("batch", "device", "channels_last", "compile", "recompute")

    model: str = "stable-diffusion-v1-5/stable-diffusion-v1-5"  # a folder that save_pretrained wrote, or a hub id
    prompt: str = ""  # what the other side looks like, in words
    origin: str = ""  # what ours looks like, in words: where a blend that names no condition begins
    negative_prompt: str = "patches, tiling, extra objects, distortion, blur"  # what it does not; nothing to LCM, FLUX
    image_prompt: str = ""  # file of one picture whose style is taken; "" takes none
    adapter: str = ""  # IP-Adapter that reads the image prompt: a folder, or a hub id (published "h94/IP-Adapter")
    adapter_weights: str = "models/ip-adapter-plus_sd15.safetensors"  # its file there
    adapter_scale: float = 0.9  # raising it gives more of the image prompt; 0 gives nothing of it
    structure: Literal["none", "edges", "depth", "segmentation"] = "none"  # what of a picture is held on to
    controlnet: str = ""  # the ControlNet made for that: a folder, or a hub id
    structure_scale: float = 1.0  # raising it keeps more of the structure
    estimator: str = ""  # of depth or segmentation, a model of transformers: a folder, or a hub id
    palette: str = ""  # file of the classes' colours, "r g b" a line, as the ControlNet learned them; "" takes any
    strength: float = 0.5  # how noisy a picture is made, 0..1; raising it changes more, and in the end the content
    guidance: float = 6.0  # raising it follows the prompts more closely, and harshly in the end; 1 does not pull
    steps: int = 10  # from pure noise to a picture, finer and slower; strength * steps are done; by LCM all
    scheduler: Literal["model", "ddim", "dpm", "lcm", "euler"] = "model"  # of these steps; "model" keeps its own
    side: int = 512  # pixels of the shorter side while it is redrawn; raising it draws finer, slower; 0 keeps the size
    batch: int = 4  # pictures redrawn at once; raising it is faster on a GPU and takes more memory
    skip: float = 0.0  # mean change in grey levels up to which a clip's last drawing is used again; 0 draws each anew
    tune: Literal["none", "lora", "dreambooth"] = "none"  # what learns: nothing, a few added weights, or the denoiser
    instance: str = ""  # what the pictures tuned on are called (published "<token> simulation"); "" takes the prompt
    rank: int = 8  # of LoRA; raising it learns more, and by heart more easily
    recompute: bool = False  # true tunes in less memory, slower
    device: str = ""  # where it redraws, such as "cuda"; "" is where the pictures are, which at deployment is the CPU
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # of the weights; half takes half the memory
    channels_last: bool = False  # true is faster where a GPU convolves in half precision
    compile: bool = False  # true is slow at first, and faster afterwards

    def __post_init__(self) -> None:
        if not 0 < self.strength <= 1 or self.steps < 1 or int(self.steps * self.strength) < 1:
            raise ConfigError(
                f"strength is above 0 and at most 1, and strength * steps of 1 or more, not {self.strength} and "
                f"{self.steps}: a picture would stay as it is."
            )
        if self.batch < 1 or self.rank < 1 or self.side < 0:
            raise ConfigError("needs batch and rank of 1 or more, and side of 0 or more.")
        if min(self.guidance, self.adapter_scale, self.structure_scale, self.skip) < 0:
            raise ConfigError("guidance, adapter_scale, structure_scale and skip are 0 or more.")
        if self.image_prompt and not (self.adapter and self.adapter_weights):
            raise ConfigError("image_prompt needs an adapter and adapter_weights: an IP-Adapter made for the model.")
        if self.structure != "none" and not self.controlnet:
            raise ConfigError(f"structure = '{self.structure}' needs a controlnet made for it and for the model.")
        refuse_blind(self.structure, self.estimator)
        if self.tune != "none" and not (self.instance or self.prompt):
            raise ConfigError("tune needs words for what it sees: instance, such as 'nigel simulation', or prompt.")

    def build(self) -> "Diffusion":
        return Diffusion(self)


class Diffusion(Bridge):
    """The foundation model is held outside the module tree: what is saved are the tuned weights alone."""

    version = 2

    def __init__(self, config: Config):
        super().__init__()
        self.config: Config = config
        self.tuned = Tuned() if self.learned else None
        self._foundation: Foundation | None = None  # loaded when it is first of use, in any process
        self._structure: Callable[[Tensor], Tensor] | None = None
        self._seed = 0  # of a clip's noise
        self._condition = ""  # that is added to the prompt
        self._share = 1.0  # of the way there

    @property
    def learned(self) -> bool:
        return self.config.tune != "none"

    @property
    def remembers(self) -> bool:
        return self.config.skip > 0

    def check(self) -> None:
        self.begin()

    def begin(self) -> None:
        if self._foundation is None:
            with _roomy("load it"):
                self._foundation = self._loaded()

    def __getstate__(self) -> dict[str, Any]:
        """Without the foundation model: another process loads it where it is of use."""
        return {**self.__dict__, "_foundation": None, "_structure": None}

    def clip(self, seed: int) -> None:
        self._seed = seed
        self.past = None

    def conditions(self) -> tuple[str, ...]:
        return (*CONDITIONS, *BLENDS)

    def vary(self, *conditions: str) -> None:
        """Words are added to the prompt; a number goes that share of the way there: between the embeddings."""
        for each in conditions:
            if each not in self.conditions():
                raise ConfigError(f"there is no condition '{each}'. {nearest(each, self.conditions())}")
        words, shares = ([each for each in conditions if (each in BLENDS) == number] for number in (False, True))
        if len(shares) > 1:
            raise ConfigError(f"'{'+'.join(conditions)}' has {len(shares)} shares; one says how far to go.")
        if shares and not (words or self.config.origin):
            raise ConfigError(
                f"blend={shares[0]} lies between two prompts: set the bridge's origin, or vary time=night+{shares[0]}."
            )
        self._condition = ", ".join(CONDITIONS[each] for each in words)
        self._share = float(shares[0]) if shares else 1.0
        if self._foundation is not None:
            self._say(self._foundation)

    def cost(self, ours: Tensor, theirs: Tensor, progress: float) -> Mapping[str, Tensor]:
        if not self.learned:
            return {}
        with _roomy("tune", "method.batch", "recompute = true, tune = 'lora'"):
            model = self._ready(theirs.device)
            return {"denoise": model.loss(resized((theirs + 1) / 2, self._size(theirs, model.stride)))}

    def forward(self, images: Tensor) -> Tensor:
        with _roomy("redraw"), torch.no_grad():
            return self._redrawn(images.flatten(0, 1)).view(images.shape)

    def along(self, images: Tensor) -> Tensor:
        with _roomy("redraw"), torch.no_grad():
            drawn, self.past = skip(self.config.skip, images, self._redrawn, self.past)
            return drawn

    def _redrawn(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 -> (N, 3, H, W) uint8."""
        device = torch.device(self.config.device or images.device)
        model = self._ready(device)
        size = self._size(images, model.stride)
        parts = []
        for some in torch.split(images.to(device), self.config.batch):
            pictures = resized(some.float() / 255, size)
            seeds = torch.randint(2**31, (len(some),)).tolist() if self.training else [self._seed] * len(some)
            drawn = model.redraw(pictures, seeds, self._structure and self._structure(pictures))
            if not drawn.isfinite().all():
                raise FloatingPointError(
                    f"bridge 'diffusion' drew what is no number in precision = '{self.config.precision}'. "
                    "Try 'bfloat16', or 'float32'."
                )
            parts.append(quantized(resized(drawn.float(), (some.shape[2], some.shape[3]))))
        return torch.cat(parts).to(images.device)

    def _size(self, pictures: Tensor, stride: int) -> tuple[int, int]:
        """The size (height, width) that is redrawn: of the shorter side asked for, as the model's stride allows."""
        sides = pictures.shape[2:]
        scale = self.config.side / min(sides) if self.config.side else 1.0
        height, width = (max(stride, round(scale * side / stride) * stride) for side in sides)
        return height, width

    def _ready(self, device: torch.device) -> Foundation:
        """The foundation model on ``device``, loaded if this process has not done so yet."""
        if self._foundation is None:
            # A resumed run loads in its first step, another at its beginning: neither may move the other's chance.
            with torch.random.fork_rng(devices=[]):
                self._foundation = self._loaded()
        self._foundation.to(device)
        return self._foundation

    def _loaded(self) -> Foundation:
        """What is loaded while redrawing may be tuned later, so it must not be made of inference tensors."""
        c = self.config
        if c.device and not usable(c.device):
            raise ConfigError(
                f"bridge 'diffusion': device = '{c.device}' is not here. Without one it redraws where the pictures are."
            )
        with torch.inference_mode(False):
            controlnet = c.controlnet if c.structure != "none" else ""
            model = foundation(c.model, controlnet, c.scheduler, c.precision, c.tune)
            model.strength, model.steps, model.guidance = c.strength, c.steps, c.guidance
            model.structure_scale, model.style_scale = c.structure_scale, c.adapter_scale
            if self.tuned is not None:
                if model.untuned:
                    raise ConfigError(f"bridge 'diffusion': '{c.model}' {model.untuned}.")
                own = lora(model.denoiser, c.rank) if c.tune == "lora" else weights(model.denoiser)
                self.tuned.join(model.denoiser, own)
            accelerated(model, c.precision, c.channels_last, c.compile, c.recompute)
            self._say(model)
            if c.image_prompt:
                model.style = styled(model, Path(c.image_prompt), c.adapter, c.adapter_weights)
            if c.structure != "none":
                self._structure = structure(c.structure, c.estimator, c.palette)
        return model

    def _say(self, model: Foundation) -> None:
        """Tell the model its prompts, under the condition that is asked for."""
        c = self.config
        with torch.inference_mode(False), torch.no_grad():
            prompt = ", ".join(words for words in (c.prompt, self._condition) if words)
            origin = c.prompt if self._condition else c.origin
            model.say(prompt, c.negative_prompt, c.instance or c.prompt, origin, self._share)


def resized(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures (N, 3, H, W) in 0..1 at another ``size``."""
    grown = nn.functional.interpolate(pictures, size, mode="bilinear", antialias=True, align_corners=False)
    return grown.clamp(0, 1)


def usable(device: str) -> bool:
    """Whether torch knows ``device`` and has one."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):  # no such kind; a kind that this torch was built without
        return False
    return True


def _roomy(doing: str, batch: str = "batch", more: str = "") -> AbstractContextManager[None]:
    """Says which settings to lower where memory runs out."""
    settings = f"lower {batch} or side, or set precision = 'bfloat16'{', ' + more if more else ''}"
    return roomy(f"bridge 'diffusion' has no memory to {doing}", f"{settings}, or take a smaller model.")
