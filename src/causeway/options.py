"""What the commands share: the program, its options, and how folders and settings become components."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from . import catalog, config
from .errors import DataError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Carry vision policies from simulation to reality. Begin with: causeway quickstart",
)

Data = Annotated[Path | None, typer.Option("--data", help="The folder that {data} in an experiment file stands for.")]
Folder = Annotated[Path | None, typer.Option("--folder", help="Where to put the results.")]
Cache = Annotated[Path | None, typer.Option("--cache", help="Where decoded frames and frozen features are kept.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="Also write the table to this file.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Settings to change: section.key=value ...")]


def fail(sentence: str, code: int) -> None:
    """Say what is wrong and leave."""
    print(sentence, file=sys.stderr)
    sys.exit(code)


def component(kind: str, name: str, settings: Sequence[str]) -> Any:
    """A component from its name and ``key=value`` settings."""
    tree: config.Tree = {"name": name}
    for item in settings:
        config.override(tree, item)
    return config.component(kind, tree)


def format_of(path: Path) -> str:
    """Which dataset component reads the folder ``path``."""
    if not path.exists():
        raise DataError(f"There is no folder {path}.")
    for name in catalog.names("dataset"):
        if catalog.find("dataset", name).recognises(path):
            return name
    from .datasets import nearly

    raise DataError(f"{path} is in no format that causeway knows. {nearly(path)}")
