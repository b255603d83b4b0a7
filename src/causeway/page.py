"""What all pages share: their templates and style, and how numbers stand in them."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from . import findings, plots


def render(template: str, values: Mapping[str, Any]) -> str:
    """One of this package's templates filled in; the page needs nothing beside it."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=loader)
    environment.globals |= {"number": findings.number, "signed": findings.signed, "colour": plots.colour}
    environment.globals |= {"palette": plots.PALETTE, "bounds": findings.interval}
    return environment.get_template(template).render(values)


def command() -> str:
    """The command that makes this page."""
    name, *words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    name = "causeway" if name == "__main__.py" else name
    return shlex.join([name, *("run" if i == 0 and word == "report" else word for i, word in enumerate(words))])
