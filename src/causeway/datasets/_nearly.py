"""What a folder that is in no known format comes nearest to."""

from pathlib import Path

from ._donkey_records import Drive, is_donkey, read_csv
from ._lerobot_format import INFO, earlier_version

SHOWN = 8  # names of a long list


def nearly(path: Path) -> str:
    """One sentence for ``path``, which no dataset recognises: what it has, and what of a dataset it lacks."""
    if not path.is_dir():
        return "It is a file; a dataset is a folder."
    if not any(path.iterdir()):
        return "It is empty."
    looked = f"Looked for {INFO} (LeRobot), manifest.json, record_*.json or labels.csv (Donkey), and pictures."
    return _around(path) or _lerobot(path) or _donkey(path) or looked


def _around(path: Path) -> str:
    """Of a folder of datasets, or of folders of datasets."""
    for depth in ("*", "*/*"):
        inside = [folder for folder in sorted(path.glob(depth)) if folder.is_dir() and _is_dataset(folder)]
        names = [folder.relative_to(path).as_posix() for folder in inside]
        if len(names) == 1:
            return f"It holds the dataset {names[0]}: name that one."
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            return f"It holds the datasets {', '.join(names[:SHOWN])}{more}: name one of them."
    return ""


def _is_dataset(folder: Path) -> bool:
    return (folder / INFO).is_file() or bool(earlier_version(folder)) or is_donkey(folder)


def _lerobot(path: Path) -> str:
    has = [f"{name}/" for name in ("meta", "data", "videos") if (path / name).is_dir()]
    if not has or (has == ["data/"] and not any(path.glob("data/chunk-*"))):  # many a folder is named data
        return ""
    return f"It has {' and '.join(has)} but no {INFO}, which a LeRobot dataset must have."


def _donkey(path: Path) -> str:
    catalogs = sorted(path.glob("*.catalog"))
    if catalogs:
        return f"It has {catalogs[0].name} but no manifest.json, which a Donkey tub must have."
    if (path / "manifest.json").is_file():
        return "It has manifest.json but none of the catalogs that it names."
    if (path / "labels.csv").is_file():
        drive = Drive()
        read_csv(path, drive)
        return f"Its {drive.faults[0]}." if drive.faults else ""
    if (path / "images").is_dir():
        return "It has images/ but no labels.csv, manifest.json or record_*.json that says what was done at each."
    return ""
