"""Find a component by the name of its file. The folder listing is the registry."""

import importlib
import importlib.util
import inspect
import io
import pkgutil
import tokenize
import types
import typing
from dataclasses import MISSING, Field, fields, is_dataclass
from types import ModuleType
from typing import Any, NamedTuple

from .errors import ConfigError, nearest

FOLDERS = {  # kind, the key in an experiment file -> folder of this package
    "method": "methods",
    "alignment": "alignments",
    "policy": "policies",
    "head": "heads",
    "bridge": "bridges",
    "dataset": "datasets",
    "labeller": "labellers",
    "simulator": "simulators",
    "reward": "rewards",
    "action": "actions",
    "monitor": "monitors",
    "metric": "metrics",
    "encoder": "encoders",
    "distance": "distances",
    "validator": "validators",
}
WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


class Setting(NamedTuple):
    """One line of a component's Config, as ``causeway list`` prints it."""

    name: str
    type: str
    default: str
    meaning: str


def kind_of(key: str) -> str | None:
    """The kind of component a setting holds, by its last word: ``test_dataset`` is a dataset."""
    last = key.rsplit("_", 1)[-1]
    return last if last in FOLDERS else None


def names(kind: str) -> list[str]:
    """Every component of one kind, e.g. ``names("alignment") == ["adversarial", "coral", ...]``."""
    folder = importlib.import_module(f"{__package__}.{FOLDERS[kind]}")
    return sorted(m.name for m in pkgutil.iter_modules(folder.__path__) if not m.name.startswith("_"))


def find(kind: str, name: str) -> ModuleType:
    """The module that implements ``name``: one of ours, or any that Python can import."""
    if name in names(kind):
        return importlib.import_module(f"{__package__}.{FOLDERS[kind]}.{name}")
    if not name.replace(".", "").isidentifier() or name.startswith("."):
        raise ConfigError(f"{kind} '{name}' is neither a component nor the name of a Python module, such as my.{kind}.")
    if "." not in name and importlib.util.find_spec(name) is None:
        raise ConfigError(f"No {kind} is called '{name}'. {nearest(name, names(kind))}")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        looked = "It is looked for in the present folder, beside the experiment file and along PYTHONPATH."
        raise ConfigError(f"{kind} '{name}' cannot be imported: {error}. {looked}") from error
    except ImportError as error:
        raise ConfigError(f"{kind} '{name}' cannot be imported: {error}.") from error
    if not is_dataclass(getattr(module, "Config", None)):
        raise ConfigError(f"{kind} '{name}' has no dataclass Config, so it is not a component.")
    return module


def name_of(config: object) -> str:
    """The name under which a component's Config is found."""
    module = type(config).__module__
    own = [f"{__package__}.{folder}." for folder in FOLDERS.values()]
    return module.rsplit(".", 1)[1] if any(module.startswith(prefix) for prefix in own) else module


def needs(kind: str, name: str) -> list[str]:
    """The settings of a component that have no default."""
    return [f.name for f in fields(find(kind, name).Config) if f.default is MISSING and f.default_factory is MISSING]


def summary(kind: str, name: str) -> str:
    """The first line of a component's docstring."""
    return (find(kind, name).__doc__ or "").strip().split("\n")[0]


def settings(config: type) -> list[Setting]:
    """Each setting of a Config with its type, default and the comment that trails it in the source."""
    comments, hints = _trailing_comments(config), typing.get_type_hints(config)
    found = []
    for f in fields(config):
        hint, kind = hints[f.name], kind_of(f.name)
        tables = [] if kind else [each for each in (hint, *typing.get_args(hint)) if is_dataclass(each)]
        if hint not in tables:  # a table alone is its settings
            type_name = f"one {kind}" if kind else in_words(hint)
            found.append(Setting(f.name, type_name, _default(f), comments.get(f.name, "")))
        for table in typing.cast("list[type]", tables):
            found += [each._replace(name=f"{f.name}.{each.name}") for each in settings(table)]
    return found


def _trailing_comments(config: type) -> dict[str, str]:
    """Those of a Config, and of what it is made from."""
    comments: dict[str, str] = {}
    for base in config.__mro__[1:]:
        comments |= _trailing_comments(base) if is_dataclass(base) else {}
    word = ""
    for token in tokenize.generate_tokens(io.StringIO(inspect.getsource(config)).readline):
        if token.type == tokenize.NAME and token.start[1] == 4 and token.line[4 + len(token.string) :].startswith(":"):
            word = token.string
        elif token.type == tokenize.COMMENT and word:
            comments[word] = f"{comments.get(word, '')} {token.string.lstrip('# ')}".strip()
        elif token.type == tokenize.NEWLINE:
            word = ""
    return comments


def in_words(hint: Any) -> str:
    """A type in the words of an experiment file."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " or ".join(repr(value) for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(in_words(each) for each in inner if each is not type(None))
    if origin is tuple:
        return f"a list, each {in_words(inner[0])}"
    if is_dataclass(hint):
        return "a table of settings"
    return WORDS.get(hint, str(hint))


def _default(f: "Field[object]") -> str:
    if f.default is not MISSING:
        return repr(f.default)
    if f.default_factory is MISSING:
        return "required"
    made = f.default_factory()
    return name_of(made) if kind_of(f.name) else repr(made)
