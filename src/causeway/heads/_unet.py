"""A U-Net along time that is told what is seen: the denoiser of diffusion policy (Chi et al. 2023, appendix A.1)."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

KERNEL, GROUPS = 5, 8  # of every convolution and normalization, as published


class UNet(nn.Module):
    """Noisy chunks (B, T, A), how noisy they are (B,) and features (B, D) -> the noise in them (B, T, A).

    Each of ``widths`` is a level; from one to the next the time axis is halved, and doubled on the way back. T is
    filled up with zeros to a multiple of the last level's stride, as a convolution fills up its edges.
    """

    def __init__(self, action: int, features: int, widths: tuple[int, ...], embedding: int):
        super().__init__()
        self.stride = 2 ** (len(widths) - 1)
        self.embedding = embedding
        self.clock = nn.Sequential(nn.Linear(embedding, 4 * embedding), nn.Mish(), nn.Linear(4 * embedding, embedding))
        told = embedding + features
        self.down, self.shrink, self.up, self.grow = (nn.ModuleList() for _ in range(4))
        for before, after in zip((action, *widths), widths):
            self.down.append(nn.ModuleList([Block(before, after, told), Block(after, after, told)]))
        for width in widths[:-1]:
            self.shrink.append(nn.Conv1d(width, width, 3, 2, 1))
        self.middle = nn.ModuleList([Block(widths[-1], widths[-1], told) for _ in range(2)])
        for after, before in reversed(list(pairwise(widths))):
            self.up.append(nn.ModuleList([Block(2 * before, after, told), Block(after, after, told)]))
            self.grow.append(nn.ConvTranspose1d(after, after, 4, 2, 1))
        self.last = nn.Sequential(*convolved(widths[0], widths[0]), nn.Conv1d(widths[0], action, 1))

    def forward(self, chunk: Tensor, step: Tensor, features: Tensor) -> Tensor:
        told = torch.cat([self.clock(sinusoids(step, self.embedding)), features], 1)
        length = chunk.shape[1]
        x = nn.functional.pad(chunk.transpose(1, 2), (0, -length % self.stride))
        levels = []
        for i, blocks in enumerate(self.down):
            x = through(blocks, x, told)
            levels.append(x)
            if i < len(self.shrink):
                x = self.shrink[i](x)
        x = through(self.middle, x, told)
        for blocks, grow in zip(self.up, self.grow):
            x = grow(through(blocks, torch.cat([x, levels.pop()], 1), told))
        noise: Tensor = self.last(x)[..., :length].transpose(1, 2)
        return noise


class Block(nn.Module):
    """Two convolutions beside a shortcut; between them each channel is scaled and shifted (FiLM, Perez et al. 2018)."""

    def __init__(self, inputs: int, outputs: int, told: int):
        super().__init__()
        self.first = nn.Sequential(*convolved(inputs, outputs))
        self.tell = nn.Sequential(nn.Mish(), nn.Linear(told, 2 * outputs))
        self.second = nn.Sequential(*convolved(outputs, outputs))
        self.shortcut = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        scale, shift = self.tell(told)[..., None].chunk(2, 1)
        out: Tensor = self.second((1 + scale) * self.first(x) + shift) + self.shortcut(x)
        return out


def convolved(inputs: int, outputs: int) -> list[nn.Module]:
    """A convolution that keeps the length, normalized and bent."""
    return [nn.Conv1d(inputs, outputs, KERNEL, padding=KERNEL // 2), nn.GroupNorm(GROUPS, outputs), nn.Mish()]


def through(blocks: nn.Module, x: Tensor, told: Tensor) -> Tensor:
    """``x`` through one block after the other."""
    for block in blocks.children():
        x = block(x, told)
    return x


def sinusoids(step: Tensor, size: int) -> Tensor:
    """Steps (B,) -> (B, size) sines and cosines of falling frequency (Vaswani et al. 2017)."""
    half = size // 2
    rates = torch.exp(torch.arange(half, device=step.device) * (-math.log(10_000) / max(1, half - 1)))
    angles = step[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)
