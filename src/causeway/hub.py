"""Models of transformers, from a folder that save_pretrained wrote or from the hub, which keeps what it downloaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import ConfigError, MissingExtra


@contextmanager
def quiet(logging: Any) -> Iterator[None]:
    """Without bars, and with no more than errors, from a library whose ``logging`` is made as transformers' is."""
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def library(who: str, extra: str = "dino") -> Any:
    """transformers, imported where it is needed. Raises MissingExtra for ``who`` needs it."""
    try:
        import transformers
    except ImportError:
        raise MissingExtra(who, "transformers", extra) from None
    return transformers


def nowhere(name: str) -> bool:
    """Whether ``name`` can be nothing but the path of a folder, and there is none: a hub id is of two words at most,
    and begins with a letter or so."""
    return (name.startswith(("/", ".", "~")) or name.count("/") > 1) and not Path(name).is_dir()


def load(kind: str, name: str, who: str, extra: str = "dino") -> Any:
    """The settings or processor of a ``kind``, named as transformers names it, that lies under ``name``.

    Raises ConfigError where that is neither a folder of one nor a hub id within reach.
    """
    return _had(getattr(library(who, extra), kind), name, who)


def model(kind: str, name: str, who: str, extra: str = "dino") -> Any:
    """The model of a ``kind`` that lies under ``name``, in float32. Raises ConfigError as ``load`` does, and where what
    lies there is another model, whose missing weights transformers would draw at random."""
    made, told = _had(getattr(library(who, extra), kind), name, who, output_loading_info=True)
    missing = sorted([*told["missing_keys"], *(str(each) for each in told["mismatched_keys"])])
    if missing:
        raise ConfigError(f"{who}: '{name}' is no {kind}: it holds no {missing[0]}, and {len(missing) - 1} more.")
    return made.float()


def _had(named: Any, name: str, who: str, **settings: Any) -> Any:
    from transformers.utils import logging

    if nowhere(name):
        raise ConfigError(f"{who}: there is no folder {name}.")
    try:
        with quiet(logging):
            return named.from_pretrained(name, local_files_only=Path(name).is_dir(), **settings)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"{who} cannot load '{name}' by {named.__name__}: it is neither the folder of one, as save_pretrained "
            "writes it, nor reachable on the hub. Download it where there is a network and give the folder. "
            f"({(str(error).splitlines() or ['no reason given'])[0]})"
        ) from None
