"""The three ways Donkey cars have written down a drive, read into one list of records."""

import csv
import json
import math
import re
import reprlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from . import _disk

TIMES = ("timestamp_ms", "milliseconds")  # either may stand in a labels.csv
IMAGE, ANGLE, THROTTLE = "cam/image_array", "user/angle", "user/throttle"


class Record(NamedTuple):
    """One picture and what the driver did."""

    recording: str  # set or tub
    parts: tuple[str, ...]  # block and session, as far as they are named; a change starts a new episode
    time_s: float
    steering: float
    throttle: float
    file: Path


@dataclass
class Drive:
    """What reading gathers: records in order, what is wrong, and how many records their owner had deleted."""

    records: list[Record] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    sources: list[Path] = field(default_factory=list)  # the label files, for the fingerprint
    deleted: int = 0


def tubs(root: Path) -> list[Path]:
    """``root`` if it is a recording, else the recordings right below it."""
    return [root] if _reader(root) else [path for path in sorted(root.glob("*")) if path.is_dir() and _reader(path)]


def is_donkey(root: Path) -> bool:
    """Whether the files in ``root`` or right below it are named as Donkey cars name them."""
    return bool(tubs(root))


def read(root: Path) -> Drive:
    """Every record below ``root``, what is wrong gathered on the way."""
    drive = Drive()
    for folder in tubs(root):
        reader = _reader(folder)
        assert reader
        before, told = len(drive.records), len(drive.faults)
        reader(folder, drive)
        if folder != root:  # each fault begins with the name of a file
            drive.faults[told:] = [f"{folder.name}/{fault}" for fault in drive.faults[told:]]
        _check_files(root, folder, drive.records[before:], drive)
    if not any(root.iterdir()):
        drive.faults.append("is empty")
    elif not tubs(root):
        drive.faults.append("holds no Donkey recording: no labels.csv, manifest.json with catalogs, or record_*.json")
    elif not drive.records and not drive.faults:
        drive.faults.append("holds no records")
    return drive


def _reader(folder: Path) -> Callable[[Path, Drive], None] | None:
    if (folder / "manifest.json").is_file() and any(folder.glob("*.catalog")):
        return _read_tub2
    labels = folder / "labels.csv"
    if labels.is_file() and ((folder / "images").is_dir() or b"angle" in labels.read_bytes()[:1000]):
        return read_csv
    return _read_tub1 if any(folder.glob("record_*.json")) else None


def _check_files(root: Path, folder: Path, records: list[Record], drive: Drive) -> None:
    there = {path for sub in (folder, folder / "images") if sub.is_dir() for path in sub.iterdir()}  # one look is quick
    missing = (record.file for record in records if record.file not in there and not record.file.is_file())
    drive.faults.extend(dict.fromkeys(_disk.absent(root, file) for file in missing))


def _number(value: Any, name: str, where: str, drive: Drive, limit: float = math.inf) -> float:
    """``value`` as a number; what is not one, not finite or beyond ``limit`` is noted and becomes NaN."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        drive.faults.append(f"{where}: {name} is {reprlib.repr(value)}, not a number")
        return math.nan
    if not math.isfinite(number):
        drive.faults.append(f"{where}: {name} is {number}")
    elif abs(number) > limit:
        drive.faults.append(f"{where}: {name} is {number}, outside -1..1")
    return number


def read_csv(folder: Path, drive: Drive) -> None:
    """Every line of ``folder/labels.csv``, or what keeps it from being read."""
    path = folder / "labels.csv"
    drive.sources.append(path)
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if not columns:
            what = "begins with an empty line, not with the names of its columns" if any(reader) else "is empty"
            drive.faults.append(f"labels.csv {what}")
            return
        time = next((name for name in TIMES if name in columns), None)
        lacking = [name for name in ("file", "angle", "throttle") if name not in columns]
        lacking += [] if time else [" or ".join(TIMES)]
        if lacking:
            drive.faults.append(f"labels.csv has no column {', '.join(lacking)}. It has: {', '.join(columns)}")
            return
        for row in reader:
            where = f"labels.csv line {reader.line_num}"
            drive.records.append(
                Record(
                    recording=row.get("set") or row.get("tub") or folder.name,
                    parts=tuple(str(row[name]) for name in ("block", "session") if row.get(name)),
                    time_s=_number(row[str(time)], str(time), where, drive) / 1000,
                    steering=_number(row["angle"], "angle", where, drive, limit=1),
                    throttle=_number(row["throttle"], "throttle", where, drive, limit=1),
                    file=folder / "images" / (row["file"] or "?"),
                )
            )


def _read_tub1(folder: Path, drive: Drive) -> None:
    numbered = {
        int(m[1]): p for p in folder.glob("record_*.json") if (m := re.fullmatch(r"record_(\d+)\.json", p.name))
    }
    drive.deleted += max(numbered) - min(numbered) + 1 - len(numbered) if numbered else 0
    for _, path in sorted(numbered.items()):
        drive.sources.append(path)
        content = _record(path.read_bytes(), path.name, drive)
        if content is not None:
            _add(content, folder.name, (), "milliseconds", folder, path.name, drive)


def _read_tub2(folder: Path, drive: Drive) -> None:
    manifest = folder / "manifest.json"
    drive.sources.append(manifest)
    lines = [line for line in manifest.read_bytes().splitlines() if line.strip()]
    catalogs = _json(lines[-1], f"manifest.json line {len(lines)}", drive) if lines else None
    if not isinstance(catalogs, dict) or not _all(str, catalogs.get("paths")):
        drive.faults.append("manifest.json does not end with the line that names the catalogs (paths, deleted_indexes)")
        return
    deletions = catalogs.get("deleted_indexes", [])
    if not _all(int, deletions):
        said = f"deleted_indexes is {reprlib.repr(deletions)}, not a list of whole numbers"
        drive.faults.append(f"manifest.json line {len(lines)}: {said}")
        deletions = []
    deleted = set(deletions)
    drive.deleted += len(deleted)
    count = 0
    for where, line in _catalog_lines(folder, catalogs["paths"], drive):
        content = None if count in deleted else _record(line, where, drive)
        count += 1  # a deleted index counts lines, as Donkey's own reader does
        if content is not None:
            session = content.get("_session_id")
            parts = (str(session),) if session else ()
            _add(content, folder.name, parts, "_timestamp_ms", folder / "images", where, drive)
    if count != catalogs.get("current_index", count):
        drive.faults.append(f"manifest.json counts {catalogs['current_index']} records but the catalogs hold {count}")


def _catalog_lines(folder: Path, names: list[str], drive: Drive) -> Iterator[tuple[str, bytes]]:
    for name in names:
        path = folder / name
        if not path.is_file():
            drive.faults.append(f"{name} is missing, though manifest.json names it")
            continue
        drive.sources.append(path)
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if line.strip():
                yield f"{name} line {number}", line


def _json(text: bytes, where: str, drive: Drive) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        drive.faults.append(f"{where}: not valid JSON ({error})")
        return None


def _record(text: bytes, where: str, drive: Drive) -> dict[str, Any] | None:
    told, content = len(drive.faults), _json(text, where, drive)
    if isinstance(content, dict):
        return content
    if len(drive.faults) == told:
        drive.faults.append(f"{where}: holds {reprlib.repr(content)}, not a record")
    return None


def _all(kind: type, values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _add(
    content: dict[str, Any], recording: str, parts: tuple[str, ...], time: str, images: Path, where: str, drive: Drive
) -> None:
    lacking = [key for key in (IMAGE, ANGLE, THROTTLE, time) if key not in content]
    if lacking:
        drive.faults.append(f"{where}: has no {', '.join(lacking)}")
        return
    drive.records.append(
        Record(
            recording=recording,
            parts=parts,
            time_s=_number(content[time], time, where, drive) / 1000,
            steering=_number(content[ANGLE], "angle", where, drive, limit=1),
            throttle=_number(content[THROTTLE], "throttle", where, drive, limit=1),
            file=images / str(content[IMAGE]),
        )
    )
