"""The package as it is installed: from a wheel, in an environment of its own."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.optional
def test_an_installed_wheel_brings_all_it_needs(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("causeway-*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)], check=True)
    environment = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}  # the libraries, not the package
    code = (
        "import causeway, importlib.resources as r; files = r.files('causeway'); "
        "assert (files / 'quickstart.toml').is_file() and (files / 'report.html').is_file() and "
        "(files / 'page.css').is_file() and (files / 'gap.html').is_file() and "
        "(files / 'py.typed').is_file(); print(causeway.__file__)"
    )
    where = subprocess.run(
        [str(python), "-c", code], env=environment, check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert str(tmp_path / "env") in where.stdout
    command = tmp_path / "env" / "bin" / "causeway"
    listed = subprocess.run(
        [str(command), "list", "alignment"], env=environment, capture_output=True, text=True, cwd=tmp_path
    )
    assert "transport" in listed.stdout, listed.stderr
