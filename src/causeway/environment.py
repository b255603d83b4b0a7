"""What a run was made with: versions, machine, commit, command."""

import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from .disk import whole


def write(path: Path, places: Mapping[str, str]) -> None:
    """What a run was made with and where its places were, in JSON."""
    packages = ("torch", "numpy", "lightning-fabric", "kornia", "gymnasium", "pyarrow", "av", "pillow", "transformers")
    about = {
        "causeway": importlib.metadata.version("causeway"),
        "python": platform.python_version(),
        "system": platform.system(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "commit": _commit(),
        "command": " ".join(["causeway", *sys.argv[1:]]),
        "places": {name: str(Path(place).absolute()) for name, place in places.items()},
        "versions": {name: _version(name) for name in packages},
    }
    with whole(path) as temporary:
        temporary.write_text(json.dumps(about, indent=2), encoding="utf-8")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    here = Path(__file__).parent
    try:
        found = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True)
    except OSError:  # no git
        return "unknown"
    return found.stdout.strip() or "unknown"
