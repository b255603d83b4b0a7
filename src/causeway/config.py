"""Experiment files: TOML in, frozen dataclasses out, every key and type checked."""

import dataclasses
import difflib
import math
import re
import tomllib
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from . import catalog
from .errors import ConfigError, nearest

if TYPE_CHECKING:
    from .gap import Comparison, Instruments

Tree = dict[str, Any]  # a TOML document
T = TypeVar("T")


def load(path: Path, overrides: Iterable[str] = ()) -> Tree:
    """Read an experiment file and apply ``section.key=value`` overrides."""
    if Path(path).is_dir():
        raise ConfigError(f"{path} is a folder. Name an experiment file, such as {path}/config.toml.")
    try:
        tree = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no experiment file {path}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from None
    for item in overrides:
        override(tree, item)
    return tree


def override(tree: Tree, item: str) -> None:
    """Apply one ``section.key=value`` (the value is TOML, a bare word is a string), changing ``tree``."""
    key, equals, value = item.partition("=")
    if not equals:
        raise ConfigError(f"'{item}' is not an override. Write it as section.key=value.")
    try:
        parsed = tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        parsed = value
    place(tree, key, parsed)


def place(tree: Tree, key: str, value: Any) -> None:
    """Set a dotted ``key`` in ``tree``. A new component name drops the settings of the component it replaces."""
    *parents, leaf = key.split(".")
    for parent in parents:
        tree[parent] = _table(parent, tree.get(parent, {}))
        tree = tree[parent]
        if not isinstance(tree, dict):
            raise ConfigError(f"'{key}' goes through '{parent}', which is not a table.")
    if leaf == "name" and tree.get("name", value) != value:
        tree.clear()
    tree[leaf] = value


def merge(tree: Tree, changes: Tree) -> Tree:
    """``tree`` with ``changes`` laid over it, tables merged key by key; ``tree`` itself stays as it is."""
    merged = dict(tree)
    if "name" in changes and changes["name"] != tree.get("name", changes["name"]):
        merged = {}
    for key, value in changes.items():
        old = _table(key, merged.get(key))
        both = isinstance(value, dict) and isinstance(old, dict)
        merged[key] = merge(cast(Tree, old), value) if both else value
    return merged


def _table(key: str, value: Any) -> Any:
    """A component that a bare word names, as the table that it stands for."""
    return {"name": value} if isinstance(value, str) and catalog.kind_of(key) else value


def fill(tree: Any, places: dict[str, str]) -> Any:
    """Every ``{data}``-like place in the strings of ``tree`` replaced, so that files carry no machine's paths."""
    if isinstance(tree, dict):
        return {key: fill(value, places) for key, value in tree.items()}
    if isinstance(tree, list):
        return [fill(value, places) for value in tree]
    if isinstance(tree, str):
        for word, value in places.items():
            tree = tree.replace("{" + word + "}", value)
        unknown = re.search(r"\{(\w+)\}", tree)
        if unknown:
            raise ConfigError(f"'{tree}': there is no place {unknown[0]}. {nearest(unknown[1], places)}")
    return tree


def component(kind: str, table: Any, where: str = "") -> Any:
    """Build the Config of the component that ``table["name"]`` names. A bare string is a name without settings."""
    where = where or kind
    table = {"name": table} if isinstance(table, str) else table
    if not isinstance(table, dict) or not isinstance(table.get("name"), str):
        raise ConfigError(f"[{where}] needs a name: one of {', '.join(catalog.names(kind))}.")
    settings = {key: value for key, value in table.items() if key != "name"}
    try:
        module = catalog.find(kind, table["name"])
    except ConfigError as error:
        raise ConfigError(f"[{where}] {error}" if where != kind else str(error)) from None
    return structure(module.Config, settings, where)


def every(kind: str) -> dict[str, Any]:
    """The Config of every component of a kind that needs no setting, with its default settings, by name."""
    return {name: component(kind, name) for name in catalog.names(kind) if not catalog.needs(kind, name)}


def instruments(settings: "Comparison") -> "Instruments":
    """What a gap is measured with: the encoder and the validators that the ``settings`` name, every distance, and every
    validator that needs no settings."""
    from .gap import Instruments  # which brings what draws and learns, and who only reads settings needs none of it

    distances = {name: each.build() for name, each in every("distance").items()}
    chosen = every("validator") | validators(settings.validators)
    built = {name: each.build() for name, each in chosen.items()}
    return Instruments(settings.encoder.build(), distances, built)


def validators(own: Any) -> dict[str, Any]:
    """The Configs of a ``validators`` table: of the catalog's with other settings, or of others by any names."""
    if not isinstance(own, dict):
        raise ConfigError(f"[gap.validators] must be a table of validators, not {own!r}.")
    tables = {
        name: {"name": name} | table if isinstance(table, dict) else {"name": table} for name, table in own.items()
    }
    for name, table in tables.items():
        if name in catalog.names("validator") and table["name"] != name:
            raise ConfigError(
                f"[gap.validators.{name}] names a validator that is not {name}. Call yours something else."
            )
    return {name: component("validator", table, f"gap.validators.{name}") for name, table in tables.items()}


def readings(own: Iterable[str] = ()) -> list[str]:
    """The names of what a bridge is measured by, with the names of its ``own`` validators."""
    distances, judged = catalog.names("distance"), dict.fromkeys([*every("validator"), *own])
    return [
        *distances,
        *(f"{name}_closed" for name in distances),
        *(f"{name}_changed" for name in judged),
        "directional",
        "directional_words",
        "flicker",
    ]


def metrics(own: Any) -> dict[str, Any]:
    """Every metric of the catalog with its default settings, and those that a ``metrics`` table adds by other names."""
    if not isinstance(own, dict):
        raise ConfigError(f"[metrics] must be a table of metrics, not {own!r}.")
    tables = {name: {"name": name} for name in catalog.names("metric")} | own
    for name in catalog.names("metric"):
        table = tables[name] = {"name": name} | tables[name] if isinstance(tables[name], dict) else tables[name]
        other = table["name"] if isinstance(table, dict) else table
        if isinstance(other, str) and other != name:
            raise ConfigError(f"[metrics.{name}] names a metric that is not {other}. Call yours something else.")
    return {name: component("metric", table, f"metrics.{name}").build() for name, table in tables.items()}


def structure(cls: type[T], table: Any, where: str, whole: str = "The experiment") -> T:
    """Build the dataclass ``cls`` from a table: unknown keys and wrong types are refused by name, ``whole`` where the
    table lies in no other."""
    section = f"[{where}]" if where else whole
    if not isinstance(table, dict):
        raise ConfigError(f"{section} must be a table of settings, not {table!r}.")
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"{section} has no setting '{key}'. {nearest(key, known)}")
        values[key] = _value(hints[key], key, _named(known[key], value), f"{where}.{key}" if where else key)
    for name, f in known.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigError(f"{section} needs '{name}'.")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{section} {error}") from None


def _named(setting: "dataclasses.Field[Any]", value: Any) -> Any:
    """A table without a name is of the component that stands there by default, where that has such settings."""
    made = setting.default_factory
    unnamed = isinstance(value, dict) and "name" not in value
    if not unnamed or not catalog.kind_of(setting.name) or made is dataclasses.MISSING:
        return value
    usual = made()
    own = {f.name for f in dataclasses.fields(usual)}
    fits = all(difflib.get_close_matches(key, own, 1) for key in value)
    return {"name": catalog.name_of(usual), **value} if fits else value


def _value(hint: Any, key: str, value: Any, where: str) -> Any:
    kind = catalog.kind_of(key)
    if kind and isinstance(value, list) and any(typing.get_origin(each) is tuple for each in typing.get_args(hint)):
        return tuple(component(kind, each, where) for each in value)
    if kind:
        return component(kind, value, where)
    inner = [h for h in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(h)]
    if inner and isinstance(value, dict):
        return structure(cast(type, inner[0]), value, where)
    if isinstance(value, float) and math.isnan(value):
        raise ConfigError(f"[{where}] must be a number, not nan.")
    try:
        return TypeAdapter(hint).validate_python(_tuples(value), strict=True)
    except ValidationError:
        raise ConfigError(f"[{where}] must be {catalog.in_words(hint)}, not {value!r}.") from None


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def summary(kind: str, name: str) -> str:
    """What a component is, in a line; "" where there is none of that name."""
    return catalog.summary(kind, name) if name in catalog.names(kind) else ""


def dump(config: Any) -> Tree:
    """The table that ``structure`` or ``component`` would build ``config`` from, defaults written out."""
    tree: Tree = {}
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        if value is None:
            continue
        if catalog.kind_of(f.name) and isinstance(value, tuple):
            tree[f.name] = [{"name": catalog.name_of(each), **dump(each)} for each in value]
        elif catalog.kind_of(f.name):
            tree[f.name] = {"name": catalog.name_of(value), **dump(value)}
        elif dataclasses.is_dataclass(value):
            tree[f.name] = dump(value)
        else:
            tree[f.name] = list(value) if isinstance(value, tuple) else value
    return tree
