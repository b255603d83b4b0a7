"""What a run leaves in part.safetensors: weights, and in their head the shapes and names they fit."""

import hashlib
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from .agreement import Names, names_of, rate
from .data import Domain, Spec
from .disk import whole
from .errors import ConfigError
from .policies import Policy

REASON = 160  # letters of what torch says: it names every layer


def save(folder: Path, part: nn.Module, target: Domain) -> None:
    """Write ``part``, trained to work in ``target``; with config.toml it is all an Agent needs."""
    kept = part.kept() if isinstance(part, Policy) else {}
    spatial = isinstance(part, Policy) and part.spatial
    spec = target.spec if spatial else target.spec._replace(points=0)
    names, rate_hz = names_of(target.unlabelled), rate(target.unlabelled)
    head = {"spec": spec._asdict(), "names": names._asdict(), "rate_hz": rate_hz, "kept": kept}
    weights = {name: value.detach().cpu().contiguous() for name, value in part.state_dict().items()}
    with whole(folder / "part.safetensors") as temporary:
        temporary.touch()
        rights = temporary.stat().st_mode
        save_file(weights, temporary, metadata={name: json.dumps(value) for name, value in head.items()})
        temporary.chmod(rights)  # safetensors keeps a file from all but its owner


def load(folder: Path, method: Any) -> nn.Module:
    """The part that the run in ``folder`` left, of which its ``method`` (a Config) knows the layout.

    Raises ConfigError where there is none, or where it is of another layout.
    """
    head = _head(folder)
    if kept := head.get("kept"):
        method = replace(method, policy=replace(method.policy, **kept))
    part: nn.Module = method.part_for(Spec(**head["spec"]))
    path = folder / "part.safetensors"
    try:
        part.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise ConfigError(
            f"{path} does not fit its own settings: was its config.toml changed, or trained by another "
            f"version? {reason(error)} Put config.toml back, or train it again in another folder."
        ) from None
    return part


def fits(folder: Path) -> tuple[Spec, Names]:
    """The shapes, and what their numbers mean, that a finished run's part was made for."""
    head = _head(folder)
    return Spec(**head["spec"]), Names(**{kind: tuple(names) for kind, names in head["names"].items()})


def rate_hz(folder: Path) -> float:
    """Moments a second of what a finished run learned from; nan where that was never written down."""
    return float(_head(folder).get("rate_hz", math.nan))


def copy(folder: Path, destination: Path) -> None:
    """What a finished run left, all that is needed to use it, into another folder; what is there already stays."""
    if (destination / "part.safetensors").exists():
        return
    _head(folder)  # which says what is wrong with it
    destination.mkdir(parents=True, exist_ok=True)
    for name in ("config.toml", "part.safetensors"):
        with whole(destination / name) as temporary:
            shutil.copyfile(folder / name, temporary)


def digest(folder: Path) -> str:
    """A word that changes with the part that a run left, and with its settings."""
    word = hashlib.sha256()
    for name in ("part.safetensors", "config.toml"):
        word.update((folder / name).read_bytes())
    return word.hexdigest()[:16]


def reason(error: RuntimeError) -> str:
    """The last line of what torch says of weights that do not fit, in brackets, as much of it as is of use."""
    if " autoencoder." in str(error) or '"autoencoder.' in str(error):
        return "(It holds another autoencoder than its settings name: name the one that it was made with.)"
    said = str(error).split("\n\t")[-1].strip()
    return f"({said[:REASON]}{' ...' if len(said) > REASON else ''})"


def _head(folder: Path) -> dict[str, Any]:
    path = folder / "part.safetensors"
    if not path.exists():
        raise ConfigError(
            f"{folder} holds no finished run: there is no part.safetensors. The command that began it goes on with it."
        )
    try:
        with safe_open(path, "pt") as file:
            head = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
    except SafetensorError as error:
        raise ConfigError(f"{path} is not whole ({error}). Copy it again, or train it again.") from None
    if not {"spec", "names"} <= head.keys():
        raise ConfigError(f"{path} was made by an earlier version of causeway, which did not write down what it fits.")
    return head
