"""The map of DESIGN.md section 3: who may import whom, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import causeway
from causeway import catalog

ROOT = Path(causeway.__file__).parent
KINDS = set(catalog.FOLDERS.values())
LAYERS = [  # a module may import from its own layer and those above it in this list
    {"errors", "progress", "written", "disk", "environment", "average", "room"},
    {"data"},
    {"hub", "estimators"},
    KINDS | {"recorder", "augment", "cache", "features", "warping", "pairs", "draws", "past", "bounds", "points"},
    {"domain", "agreement", "agent", "parts", "splits"},
    {"train", "evaluate", "driving", "collect", "ranks"},
    {"halves", "readings", "judges", "shards", "gap", "redraw", "ranking", "acting"},
    {"catalog", "config"},
    {"crossing"},
    {"run"},
    {"finished"},
    {"running"},
    {"workers", "links"},
    {"study"},
    {"results", "console", "between", "redrawing"},
    {"findings", "pictures", "plots", "clouds", "film", "gallery", "page", "report", "gap_page"},
    {"options"},
    {"cli_gap"},
    {"cli"},
    {"__main__"},
]
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Modules of the package that a file imports, at any depth, as paths below the package: ``alignments/none``."""
    here = list(path.parent.parts)
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {"/".join(name.name.split(".")[1:]) for name in node.names if name.name.split(".")[0] == ROOT.name}
        if isinstance(node, ast.ImportFrom):
            words = node.module.split(".") if node.module else []
            if not node.level and words[:1] != [ROOT.name]:
                continue
            base = here[: len(here) - node.level + 1] + words if node.level else words[1:]
            for name in node.names:
                full = ROOT.joinpath(*base, name.name)
                is_module = full.is_dir() or full.with_suffix(".py").exists()
                found.add("/".join([*base, name.name] if is_module else base))
    return found - {""}


def layer(name: str) -> int:
    top = name.split("/")[0]
    return next(i for i, names in enumerate(LAYERS) if top in names)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_go_down_the_layers(path: Path) -> None:
    if path.name == "__init__.py" and len(path.parts) == 1:
        return
    own = path.with_suffix("").as_posix().removesuffix("/__init__")
    for other in imported(path):
        assert layer(other) <= layer(own), f"{own} imports {other}, which lies above it"


@pytest.mark.parametrize("path", [p for p in MODULES if p.parts[0] in KINDS], ids=str)
def test_component_folders_do_not_import_one_another(path: Path) -> None:
    # a method names its default parts, a policy its default head; what measures or redraws sees through an encoder
    named = {"methods": KINDS, "policies": {"heads", "encoders"}}
    named |= {kind: {"encoders"} for kind in ("distances", "validators", "bridges")}
    named["bridges"] |= {"datasets"}  # what others redrew lies in folders
    for other in imported(path):
        if other.split("/")[0] in KINDS - {path.parts[0]} - named.get(path.parts[0], set()):
            raise AssertionError(f"{path} imports {other}")


def test_only_config_and_the_command_line_with_its_tables_look_into_the_catalog() -> None:
    users = {path.as_posix() for path in MODULES if "catalog" in imported(path)}
    assert users == {"config.py", "cli.py", "console.py", "options.py"}


def test_only_the_catalog_imports_what_a_string_names() -> None:
    users = {path.name for path in MODULES if {"import_module", "__import__"} & names_in(path)}
    assert users == {"catalog.py"}


def names_in(path: Path) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return called | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_folders_of_kinds_import_no_members() -> None:
    for kind in KINDS:
        members = {f"{kind}/{p.stem}" for p in (ROOT / kind).glob("*.py") if not p.stem.startswith("_")}
        assert not imported(Path(kind) / "__init__.py") & members


def test_import_is_quick_and_silent() -> None:
    code = "import time; t = time.perf_counter(); import causeway; print(time.perf_counter() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) for _ in range(3)
    ]
    assert min(times) < 0.1
