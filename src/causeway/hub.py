"""Models of transformers, from a folder that save_pretrained wrote or from the hub, which keeps what it downloaded."""

from pathlib import Path
from typing import Any

from .errors import ConfigError, MissingExtra


def library(who: str, extra: str = "dino") -> Any:
    """transformers, imported where it is needed. Raises MissingExtra for ``who`` needs it."""
    try:
        import transformers
    except ImportError:
        raise MissingExtra(who, "transformers", extra) from None
    return transformers


def load(kind: str, weights: str, who: str, extra: str = "dino") -> Any:
    """The model, settings or processor of a ``kind``, named as transformers names it, that lies under ``weights``.

    Raises ConfigError where that is neither a folder of one nor a hub id within reach.
    """
    named = getattr(library(who, extra), kind)
    try:
        return named.from_pretrained(weights, local_files_only=Path(weights).is_dir())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{who} cannot load '{weights}' by {kind}: it is neither the folder of one, as save_pretrained "
            "writes it, nor reachable on the hub. Download it where there is a network and give the folder. "
            f"({str(error).splitlines()[0]})"
        ) from None
