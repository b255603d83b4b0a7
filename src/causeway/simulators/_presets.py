"""A whole world's settings under one name, of which parts may be replaced."""

from collections.abc import Mapping
from typing import Any, TypeVar

P = TypeVar("P", bound=tuple[Any, ...])  # a NamedTuple of parts


def mixed(presets: Mapping[str, P], name: str, *parts: Any) -> P:
    """The preset ``name``; each of ``parts`` that is not None stands in for its own: a preset's name, or settings."""
    whole: Any = presets[name]
    given = zip(whole._fields, parts, strict=True)
    made: P = type(whole)(
        *(getattr(presets[part or name], own) if isinstance(part, str | None) else part for own, part in given)
    )
    return made
