"""Files of weights: what is in them, or one sentence of what they are not."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.lib.npyio import NpzFile
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import ConfigError

UNREADABLE = (ValueError, OSError, EOFError, RuntimeError, BadZipFile, UnpicklingError, SafetensorError)


def arrays(path: Path) -> NpzFile:
    """The arrays in an ``.npz``. Raises ConfigError where it is another kind of file."""
    if path.is_dir():
        held = ", ".join(sorted(file.name for file in path.glob("*.npz"))) or "none"
        raise ConfigError(f"weights: {path} is a folder. Give the path of an .npz; in it there is {held}.")
    if not path.is_file():
        raise ConfigError(f"weights: there is no file {path}. Give 'random' or the path of an .npz.")
    try:
        found: Any = np.load(path)
    except UNREADABLE:
        found = None
    if not isinstance(found, NpzFile):
        raise ConfigError(f"weights: {path} is no .npz of arrays by the names of layers.")
    return found


def state(path: Path) -> dict[str, Tensor]:
    """The tensors by name in a state dict, of torch or in safetensors. Raises ConfigError where it holds none."""
    try:
        safe = path.suffix == ".safetensors"
        found: Any = load_file(path) if safe else torch.load(path, weights_only=True, map_location="cpu")
    except UNREADABLE:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ConfigError(f"weights: {path} is no state dict, as torch.save or safetensors write one.")
    return found
