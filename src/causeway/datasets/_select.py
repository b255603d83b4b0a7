"""Which recordings of a folder to keep."""

from collections.abc import Iterable

from ..errors import ConfigError, nearest


def keep(names: Iterable[str], select: str) -> list[bool]:
    """For each ``recording/part/...`` name whether ``select`` means it: by whole words, else by how it starts."""
    names = list(names)
    whole = [not select or name.startswith(f"{select}/") or select in (name, *name.split("/")) for name in names]
    kept = whole if any(whole) else [name.startswith(select) for name in names]
    if names and not any(kept):
        raise ConfigError(f"No recording starts with '{select}'. {nearest(select, {n.split('/')[0] for n in names})}")
    return kept
