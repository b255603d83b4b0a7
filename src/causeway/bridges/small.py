"""Latent diffusion trained from scratch on both domains, for machines that reach no hub of models.

A frozen tiny autoencoder turns a picture into latents z. A U-Net learns the noise in them (Ho et al. 2020, equation
14), told the step k, the domain, how the picture looks as a whole (the means and spreads of its latents: an image
prompt) and where its edges are:

    loss = mean (e - net(sqrt(abar_k) z + sqrt(1 - abar_k) e, k, domain, look, edges))^2

Most of a simulator's pictures and a handful of real ones thus share what they can, and the domain says the rest.
Domain and look are left out now and then, and so can be pulled towards (classifier-free guidance, Ho & Salimans
2022). A picture is redrawn as in SDEdit (Meng et al. 2022): its latents, brought to theirs' means and spreads, which
noise would hardly change (AdaIN on latents, Chung et al. 2024), are made noisy as far as ``strength`` and cleaned again
under the other domain, an average look of it or that of one picture, and their own edges; or under what lies between
their own domain and look and those (``blend``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..data import Moments
from ..datasets._disk import picture
from ..encoders.autoencoder import STRIDE, Autoencoder, padded, read
from ..errors import ConfigError, DataError, MissingExtra, nearest
from . import BLENDS, Bridge, quantized, sample
from ._structure import ESTIMATED, refuse_blind, structure

STEPS = 1000  # of the noise that is learned
EDGES = 16  # channels that the edges of a picture are brought to at the latents' size
GROUPS = 16  # of channels that are normalized together
SCHEDULERS = {"ddim": "DDIMScheduler", "dpm": "DPMSolverMultistepScheduler", "euler": "EulerDiscreteScheduler"}


@dataclass(frozen=True)
class Config:
    """The network, what it is told, and how a picture is redrawn."""

    autoencoder: str = "random"  # folder of a tiny autoencoder's two files; "random" is for trials
    widths: tuple[int, ...] = (64, 128)  # channels of each level of the U-Net; more learn more, slower
    structure: Literal["edges", "depth", "segmentation", "none"] = "edges"  # what of a picture the U-Net is told
    estimator: str = ""  # of depth or segmentation, a model of transformers: a folder, or a hub id
    strength: float = 0.3  # how noisy a picture is made, 0..1; raising it changes more, and in the end the content
    guidance: float = 2.0  # how hard the other domain is pulled towards; 1 does not pull
    steps: int = 8  # from pure noise to a picture; strength * steps of them are done
    scheduler: Literal["ddim", "dpm", "euler"] = "dpm"  # of these steps
    tone: float = 1.0  # how far a picture's latents are first given theirs' means and spreads; noise leaves these alone
    blend: float = 1.0  # how far from our domain and look to theirs, 0..1; below 1 draws what lies between
    image_prompt: str = ""  # file of one picture whose look is taken; "" takes the average of theirs
    forget: float = 0.15  # share of training pictures that are told neither domain nor look
    detail: float = 1.0  # how much is given back of what the autoencoder alone loses of a picture

    def __post_init__(self) -> None:
        if not (0 < self.strength <= 1 and 0 <= self.forget < 1 and self.detail >= 0):
            raise ConfigError("strength is above 0 and at most 1, forget a share below 1, detail 0 or more.")
        if not (0 <= self.blend <= 1 and 0 <= self.tone <= 1):
            raise ConfigError("blend and tone are shares from 0 to 1.")
        refuse_blind(self.structure, self.estimator)
        if self.steps < 1 or self.guidance < 0 or not self.widths or any(width % GROUPS for width in self.widths):
            raise ConfigError(f"needs steps of 1 or more, guidance of 0 or more, and widths that {GROUPS} divides.")

    def build(self) -> "Small":
        return Small(self)


class Small(Bridge):
    """The denoiser works in latents; the autoencoder never learns."""

    version = 2
    learned = True
    frozen = True

    def __init__(self, config: Config):
        super().__init__()
        self.config: Config = config
        folder = Path(config.autoencoder)
        self.autoencoder = Autoencoder(8, 32) if config.autoencoder == "random" else read(folder)
        self.autoencoder.requires_grad_(False).eval()
        channels, told = self.autoencoder.channels, 4 * config.widths[0]  # as wide as the net's own word for the step
        edges = 0 if config.structure == "none" else EDGES
        levels = len(config.widths)
        self.net = library().UNet2DModel(
            in_channels=channels + edges,
            out_channels=channels,
            block_out_channels=config.widths,
            down_block_types=("DownBlock2D",) * (levels - 1) + ("AttnDownBlock2D",),
            up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * (levels - 1),
            layers_per_block=1,
            norm_num_groups=GROUPS,
            attention_head_dim=GROUPS,
            class_embed_type="identity",
        )
        self.domain = nn.Embedding(2, told)
        self.style = nn.Sequential(nn.Linear(2 * channels, told), nn.SiLU(), nn.Linear(told, told))
        self.edges = nn.Conv2d((3 if config.structure == "segmentation" else 1) * STRIDE**2, EDGES, 3, padding=1)
        self._estimated: Callable[[Tensor], Tensor] | None = None  # depth or classes; loaded when first of use
        self.noising = library().DDPMScheduler(num_train_timesteps=STEPS, beta_schedule="scaled_linear")
        self.ours: Tensor  # how pictures look on average: those that are redrawn
        self.theirs: Tensor  # and those that they are to look like
        self.scale: Tensor  # of latents
        self.register_buffer("ours", torch.tensor([0.0, 1.0]).repeat_interleave(channels))
        self.register_buffer("theirs", self.ours.clone())
        self.register_buffer("scale", torch.ones(()))
        self._blend = config.blend
        self._seed = 0  # of a clip's noise

    def calibrate(self, ours: Moments, theirs: Moments) -> None:
        """The scale of latents, and the average looks."""
        with torch.no_grad():
            latents = [self.latents(sample(side, 32).float() / 127.5 - 1) for side in (ours, theirs)]
        self.scale.copy_(1 / torch.cat([z.flatten() for z in latents]).std().clamp(min=1e-3))
        self.ours.copy_(look(latents[0] * self.scale).mean(0))
        self.theirs.copy_(look(latents[1] * self.scale).mean(0))

    def check(self) -> None:
        if self.config.image_prompt:
            read_prompt(self.config.image_prompt, (8, 8))
        if self.config.structure in ESTIMATED:
            self._estimate()

    def prompt(self, ours: Moments) -> None:
        if self.config.image_prompt:
            liked = read_prompt(self.config.image_prompt, ours.frames.shape[3:])
            with torch.no_grad():
                self.theirs.copy_(look(self.latents(liked.float() / 127.5 - 1) * self.scale)[0])

    def train(self, mode: bool = True) -> "Small":
        super().train(mode)
        self.autoencoder.eval()
        return self

    def seen(self, pictures: Tensor) -> Tensor:
        """Latents and the structure of pictures (B, 3, H, W), side by side at the latents' size."""
        outlines = nn.functional.pixel_unshuffle(self._structure(padded(pictures)), STRIDE)
        return torch.cat([self.latents(pictures), outlines], 1)

    def cost(self, ours: Tensor, theirs: Tensor, progress: float) -> Mapping[str, Tensor]:
        z, outlines = self._apart(torch.cat([ours, theirs]))
        domain = torch.cat([torch.zeros(len(ours)), torch.ones(len(theirs))]).to(z.device)
        told = (torch.rand(len(z), device=z.device) >= self.config.forget).float()
        step = torch.randint(STEPS, (len(z),), device=z.device)
        noise = torch.randn_like(z)
        guess = self.denoise(self.noising.add_noise(z, noise, step), step, self.said(domain, look(z), told), outlines)
        errors = (guess - noise).square().mean((1, 2, 3))
        return {"denoise/ours": errors[: len(ours)].mean() / 2, "denoise/theirs": errors[len(ours) :].mean() / 2}

    def forward(self, images: Tensor) -> Tensor:
        pictures = images.flatten(0, 1).float() / 127.5 - 1
        with torch.inference_mode():
            drawn = self.redraw(pictures)
        return quantized(drawn).view(images.shape)

    def conditions(self) -> tuple[str, ...]:
        return BLENDS

    def vary(self, *conditions: str) -> None:
        if conditions[0] not in BLENDS or len(conditions) > 1:
            raise ConfigError(f"there is no condition '{'+'.join(conditions)}'. {nearest(conditions[0], BLENDS)}")
        self._blend = float(conditions[0])

    def redraw(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in -1..1 -> 0..1."""
        c = self.config
        whole = {"clip_sample": False} if c.scheduler == "ddim" else {}  # latents are not between -1 and 1
        scheduler = getattr(library(), SCHEDULERS[c.scheduler])(
            num_train_timesteps=STEPS, beta_schedule="scaled_linear", **whole
        )
        scheduler.set_timesteps(c.steps, device=pictures.device)
        begin = c.steps - max(1, round(c.strength * c.steps))
        if hasattr(scheduler, "set_begin_index"):  # which those have that count their steps
            scheduler.set_begin_index(begin)
        plain, outlines = self._apart(self.seen(pictures))
        told = torch.ones(len(plain), device=plain.device)
        wanted = torch.lerp(look(plain), self.theirs, self._blend)
        theirs, nothing = (self.said(self._blend * told, wanted, share * told) for share in (1, 0))
        first = scheduler.timesteps[begin : begin + 1].expand(len(plain))
        z = scheduler.add_noise(self._toned(plain), self._noise(plain), first)
        for step in scheduler.timesteps[begin:]:
            now = scheduler.scale_model_input(z, step)
            guess = self.denoise(now, step.expand(len(z)), theirs, outlines)
            if c.guidance != 1:
                free = self.denoise(now, step.expand(len(z)), nothing, outlines)
                guess = free + c.guidance * (guess - free)
            z = scheduler.step(guess, step, z).prev_sample
        height, width = pictures.shape[2:]
        drawn, same = (self.autoencoder.decode(x / self.scale)[:, :, :height, :width] for x in (z, plain))
        return drawn + c.detail * ((pictures + 1) / 2 - same)

    def said(self, domain: Tensor, wanted: Tensor, told: Tensor) -> Tensor:
        """The words for domains (B,), from 0, ours, to 1, theirs, and looks (B, 2 * C), if ``told`` (B,)."""
        ours, theirs = self.domain.weight
        words: Tensor = (torch.lerp(ours, theirs, domain[:, None]) + self.style(wanted)) * told[:, None]
        return words

    def denoise(self, z: Tensor, step: Tensor, words: Tensor, outlines: Tensor) -> Tensor:
        """The noise in latents (B, C, h, w) at steps (B,)."""
        inputs = z if self.config.structure == "none" else torch.cat([z, self.edges(outlines)], 1)
        height, width = z.shape[2:]
        whole = 2 ** (len(self.config.widths) - 1)  # that the net halves
        inputs = nn.functional.pad(inputs, (0, -width % whole, 0, -height % whole), mode="replicate")
        guess: Tensor = self.net(inputs, step, class_labels=words).sample
        return guess[:, :, :height, :width]

    def latents(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in -1..1 -> (B, C, h, w); sides that the stride does not divide are grown by their edge."""
        return self.autoencoder.encode(padded((pictures + 1) / 2).contiguous(memory_format=torch.channels_last))

    def clip(self, seed: int) -> None:
        self._seed = seed

    def __getstate__(self) -> dict[str, Any]:
        """Without the estimator: another process loads it where it is of use."""
        return {**self.__dict__, "_estimated": None}

    def _structure(self, pictures: Tensor) -> Tensor:
        """What is told of pictures (B, 3, H, W) in -1..1, (B, K, H, W): edges, how near, or classes in colours."""
        if self.config.structure not in ESTIMATED:
            return outline(pictures)
        found = self._estimate()((pictures + 1) / 2)
        return found[:, :1] if self.config.structure == "depth" else found

    def _estimate(self) -> Callable[[Tensor], Tensor]:
        if self._estimated is None:
            self._estimated = structure(self.config.structure, self.config.estimator, "", "bridge 'small'")
        return self._estimated

    def _toned(self, z: Tensor) -> Tensor:
        """Latents (B, C, h, w) with the means and spreads of theirs in place of ours', as far as ``tone`` says."""
        ours, theirs = (each.view(2, -1, 1, 1) for each in (self.ours, self.theirs))
        moved = (z - ours[0]) / ours[1].clamp(min=1e-3) * theirs[1] + theirs[0]
        return torch.lerp(z, moved, self.config.tone * self._blend)

    def _apart(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """What was ``seen``, as latents at their scale and structure."""
        channels = self.autoencoder.channels
        return seen[:, :channels] * self.scale, seen[:, channels:]

    def _noise(self, latents: Tensor) -> Tensor:
        if self.training:
            return torch.randn_like(latents)
        one = torch.randn(latents.shape[1:], generator=torch.Generator().manual_seed(self._seed))
        return one.to(latents.device).expand_as(latents)


def read_prompt(file: str, size: tuple[int, ...]) -> Tensor:
    """The picture in a ``file`` at a ``size`` (height, width), (1, 3, H, W) uint8. Raises ConfigError without one."""
    try:
        pixels = torch.from_numpy(picture(Path(file)).copy()).permute(2, 0, 1)[None]
    except DataError as error:
        raise ConfigError(f"image_prompt {file} {error}") from None
    return nn.functional.interpolate(pixels, size, mode="bilinear", antialias=True, align_corners=False)


def look(latents: Tensor) -> Tensor:
    """How pictures look as a whole: the mean and spread of each channel of their latents, (B, 2 * C)."""
    return torch.cat([latents.mean((2, 3)), latents.std((2, 3))], 1)


def outline(pictures: Tensor) -> Tensor:
    """The edges of pictures (B, 3, H, W), as strong in fog as in sun: (B, 1, H, W)."""
    grey = pictures.mean(1, keepdim=True)
    across = nn.functional.pad(grey.diff(dim=3), (0, 1))
    down = nn.functional.pad(grey.diff(dim=2), (0, 0, 0, 1))
    strong = (across.square() + down.square() + 1e-8).sqrt()
    return strong / (strong.mean((2, 3), keepdim=True) + 0.02)


def library() -> Any:
    """diffusers, imported where it is needed."""
    try:
        import diffusers
    except ImportError:
        raise MissingExtra("bridge 'small'", "diffusers", "diffusion") from None
    return diffusers
