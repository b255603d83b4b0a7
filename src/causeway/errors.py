"""What can be wrong with what a user gave us, each said at the door: where, what, and what to do."""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A setting, an experiment file or a command asks for something that cannot be."""


class DataError(ValueError):
    """A recording on disk is not what it claims to be."""


class InUse(DataError):
    """Another process holds a folder."""


class MissingExtra(ImportError):
    """A component needs an optional library that is not installed."""

    def __init__(self, who: str, library: str, extra: str):
        how = f'pip install {library}, or, in a clone of causeway: pip install -e ".[{extra}]"'
        super().__init__(f"{who} needs {library}. Install it with: {how}")


class Interrupted(Exception):
    """Ctrl-C, after the run was saved. No KeyboardInterrupt, which Typer would turn into silence."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence that helps: the closest known word, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(known) or 'none'}."
