"""A chunk of actions out of noise, cleaned step by step (Chi et al. 2023, "diffusion policy").

With z = (actions - mean) / scale in units of the demonstrations, a step k drawn from 0..99, noise e ~ N(0, 1) and abar
the squared-cosine schedule of Nichol & Dhariwal 2021, a U-Net learns the noise (Ho et al. 2020, equation 14):

    loss = mean (e - net(sqrt(abar_k) z + sqrt(1 - abar_k) e, k, features))^2
    abar_k = f(k + 1) / f(0),     f(i) = cos^2((i / 100 + .008) / 1.008 * pi / 2)

A chunk is made from noise in ``steps_to_act`` steps of DDIM (Song et al. 2021, equation 12, with eta = 0):

    z <- sqrt(abar_j) clip((z - sqrt(1 - abar_k) net) / sqrt(abar_k)) + sqrt(1 - abar_j) net,     j the step after k

Published actions are scaled to -1..1 by their least and most. Here they have the demonstrations' spread as their unit,
the spread 1 that the schedule reckons with, and are clipped at ``widest`` such units from their mean.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from ..data import Spec
from ..errors import ConfigError, MissingExtra
from . import Head
from ._unet import GROUPS, UNet

STEPS = 100  # of the noise that is learned, as published


@dataclass(frozen=True)
class Config:
    """The size of the U-Net, and how a chunk is drawn from it."""

    widths: tuple[int, ...] = (64, 128)  # channels of each level, published (256, 512, 1024); more learn more, slower
    embedding: int = 64  # numbers that say how noisy a chunk is, published 256; more tell steps apart more finely
    steps_to_act: int = 10  # passes of the U-Net for a chunk, a divisor of 100 from 4; more are truer, slower
    widest: float = 5.0  # furthest a planned action is from the mean, in spreads; raising it lets outliers be planned

    def __post_init__(self) -> None:
        if not self.widths or any(width < 1 or width % (4 * GROUPS) for width in self.widths):
            raise ConfigError(f"widths are multiples of {4 * GROUPS}, one or more, not {list(self.widths)}.")
        if self.embedding < 2 or self.embedding % 2 or self.widest <= 0:
            raise ConfigError("needs an even embedding, and widest above 0.")
        if self.steps_to_act < 4 or STEPS % self.steps_to_act:  # else a plan begins as noise that is half clean
            fitting = ", ".join(str(n) for n in range(4, STEPS + 1) if STEPS % n == 0)
            raise ConfigError(f"steps_to_act must be one of {fitting}, not {self.steps_to_act}.")

    def build(self, width: int, spec: Spec) -> "Diffusion":
        return Diffusion(self, width, spec)


class Diffusion(Head):
    """A denoiser, and the one piece of noise from which it makes every chunk that is done."""

    def __init__(self, config: Config, width: int, spec: Spec):
        super().__init__(spec)
        schedulers, cosine = library(), {"num_train_timesteps": STEPS, "beta_schedule": "squaredcos_cap_v2"}
        self.learned = schedulers.DDPMScheduler(**cosine)
        self.walked = schedulers.DDIMScheduler(**cosine, clip_sample_range=config.widest)
        self.walked.set_timesteps(config.steps_to_act)
        self.net = UNet(spec.action, width, config.widths, config.embedding)
        self.noise: Tensor
        self.register_buffer("noise", torch.randn(self.shape, generator=torch.Generator().manual_seed(0)))

    def forward(self, features: Tensor, mean: Tensor, scale: Tensor) -> "Denoised":
        return Denoised(self, features, mean, scale)

    def error(self, chunk: Tensor, features: Tensor) -> Tensor:
        """Squared error (B, T, A) of the noise guessed in ``chunk`` (B, T, A), at a step and with noise drawn anew."""
        step = torch.randint(STEPS, (len(chunk),), device=chunk.device)
        noise = torch.randn_like(chunk)
        guess: Tensor = self.net(self.learned.add_noise(chunk, noise, step), step, features)
        return (guess - noise).square()

    @torch.no_grad()
    def plan(self, noise: Tensor, features: Tensor) -> Tensor:
        """Noise (B, T, A) and features (B, D) -> chunks (B, T, A) in units of the demonstrations, without gradient."""
        for step in self.walked.timesteps:
            guess = self.net(noise, step.to(noise.device).expand(len(noise)), features)
            noise = self.walked.step(guess, int(step), noise).prev_sample
        return noise


class Denoised(Distribution):
    """What the denoiser knows of the chunks of actions (B, T, A) that features (B, D) may mean."""

    arg_constraints = {}  # noqa: RUF012  (as torch declares it)

    def __init__(self, head: Diffusion, features: Tensor, mean: Tensor, scale: Tensor):
        super().__init__(features.shape[:1], torch.Size(head.shape), validate_args=False)
        self.head, self.features, self.middle, self.spread = head, features, mean, scale

    def log_prob(self, value: Tensor) -> Tensor:
        """(B,) a bound of the log-likelihood, weighted by step and up to a constant, from one step drawn at random:
        per number and in units of the demonstrations it is minus the squared error of the noise."""
        error = self.head.error((value - self.middle) / self.spread, self.features)
        return -(error + self.spread.log()).sum((1, 2))

    @property
    def mode(self) -> Tensor:
        """(B, T, A) the chunk made from the one piece of noise that is kept with the weights, the same for every row
        and call: a policy is then a function, and plans that follow one another keep to one way of acting."""
        noise = self.head.noise.expand(len(self.features), *self.head.shape)
        return self.head.plan(noise, self.features) * self.spread + self.middle


def library() -> Any:
    """The schedulers of diffusers, imported where they are needed."""
    try:
        from diffusers import schedulers
    except ImportError:
        raise MissingExtra("head 'diffusion'", "diffusers", "diffusion") from None
    return schedulers
