"""The tiny autoencoders of the TAESD family (Bohan 2023): pictures to latents an eighth of their size, and back.

The layout is read off the weights, so that TAESD (4 channels), TAEF1 (16) and TAEF2 (32, with a pooled branch in the
deepest blocks, which diffusers' ``AutoencoderTiny`` has not) are all read by the names of their own files.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from . import Encoder
from ._files import state

STRIDE = 8  # of a latent, in pixels
REACH = 3.0  # beyond which latents are bent back


@dataclass(frozen=True)
class Config:
    """Where the weights are."""

    weights: str = "random"  # the folder of the two files, *encoder and *decoder, or "random" for a trial

    def build(self) -> "Latents":
        return Latents(self)


class Block(nn.Module):
    """Three convolutions beside the identity; a deep one first adds what a normalized wide layer makes of its input."""

    def __init__(self, channels: int, pooled: bool):
        super().__init__()
        three = [step for _ in range(3) for step in (nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())]
        self.conv = nn.Sequential(*three[:-1])
        if pooled:
            wide = 4 * channels
            widen, narrow = nn.Conv2d(channels, wide, 1, bias=False), nn.Conv2d(wide, channels, 1, bias=False)
            self.pool = nn.Sequential(widen, nn.GroupNorm(4, wide), nn.ReLU(), narrow)
        self.pooled = pooled

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pool(x) if self.pooled else x
        y: Tensor = self.conv(x) + x
        return y.relu()


class Bend(nn.Module):
    """``tanh(x / 3) * 3``: no latent is far out."""

    def forward(self, x: Tensor) -> Tensor:
        return (x / REACH).tanh() * REACH


class Autoencoder(nn.Module):
    """(B, 3, H, W) in 0..1 <-> latents (B, channels, H / 8, W / 8), of about unit spread. H and W divide by 8."""

    def __init__(self, channels: int, width: int = 64, pooled: bool = True):
        super().__init__()

        def blocks(count: int, pooled: bool = False) -> list[nn.Module]:
            return [Block(width, pooled) for _ in range(count)]

        def down() -> nn.Module:
            return nn.Conv2d(width, width, 3, 2, 1, bias=False)

        def up() -> list[nn.Module]:
            return [nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1, bias=False)]

        self.channels = channels
        self.encoder = nn.Sequential(
            *[nn.Conv2d(3, width, 3, padding=1), *blocks(1), down(), *blocks(3), down(), *blocks(3), down()],
            *[*blocks(3, pooled), nn.Conv2d(width, channels, 3, padding=1)],
        )
        self.decoder = nn.Sequential(
            *[Bend(), nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), *blocks(3, pooled), *up()],
            *[*blocks(3), *up(), *blocks(3), *up(), *blocks(1), nn.Conv2d(width, 3, 3, padding=1)],
        )

    def encode(self, pictures: Tensor) -> Tensor:
        latents: Tensor = self.encoder(pictures)
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        pictures: Tensor = self.decoder(latents)
        return pictures.clamp(0, 1)


class Latents(Encoder):
    """What the way to the latents makes of a picture, at the end of each size; of the last their mean and spread."""

    layers = ("whole", "half", "quarter", "latents")

    def __init__(self, config: Config):
        super().__init__()
        self.name = "tiny autoencoder" + (", random weights" if config.weights == "random" else "")
        made = Autoencoder(4) if config.weights == "random" else read(Path(config.weights))
        self.steps = made.encoder
        self.shown = [place for place, step in enumerate(made.encoder) if _halves(step)]
        self.requires_grad_(False).eval()

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        x, found = padded(pictures), []
        for place, step in enumerate(self.steps):
            if place in self.shown:
                found.append(x)
            x = step(x)
        return *found, x

    def vectors(self, maps: tuple[Tensor, ...]) -> Tensor:
        return torch.cat([maps[-1].mean((2, 3)), maps[-1].std((2, 3)), maps[-2].mean((2, 3))], 1)


def padded(pictures: Tensor) -> Tensor:
    """Pictures grown at their right and lower edge until the stride divides their sides."""
    height, width = pictures.shape[2:]
    return nn.functional.pad(pictures, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")


def _halves(step: nn.Module) -> bool:
    return isinstance(step, nn.Conv2d) and step.stride == (2, 2)


def read(folder: Path) -> Autoencoder:
    """The autoencoder whose files, ``*encoder.pth`` and ``*decoder.pth`` or .safetensors, lie in ``folder``. Frozen."""
    encoder, decoder = (_state(folder, half) for half in ("encoder", "decoder"))
    last = max((name for name in encoder if name.endswith(".weight")), key=lambda name: int(name.split(".")[0]))
    channels, width = encoder[last].shape[:2]
    made = Autoencoder(channels, width, pooled=any(".pool." in name for name in encoder))
    try:
        made.encoder.load_state_dict(encoder)
        made.decoder.load_state_dict(decoder)
    except RuntimeError as error:
        raise ConfigError(
            f"{folder} holds no tiny autoencoder of the TAESD family. ({str(error).splitlines()[-1].strip()})"
        ) from None
    made.requires_grad_(False).eval()
    return made


def _state(folder: Path, half: str) -> dict[str, Tensor]:
    found = sorted(path for path in folder.glob(f"*{half}.*") if path.suffix in (".pth", ".pt", ".safetensors"))
    if not found:
        raise ConfigError(f"autoencoder: {folder} holds no *{half}.pth or *{half}.safetensors.")
    return {name: value.float() for name, value in state(found[0]).items()}
