"""The numbered files of a LeRobot dataset, written row by row and picture by picture."""

import io
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from ..errors import DataError
from . import _lerobot_format as layout

ROW_GROUP_BYTES = 16 << 20  # pictures held in memory before they are written
ROW_GROUP_ROWS = 512


class DataFiles:
    """Parquet files, a new one begun between episodes when the last has grown beyond ``limit_mb``."""

    def __init__(self, root: Path, schema: pa.Schema | None, limit_mb: float, template: str = layout.DATA):
        self._root, self._schema, self._limit, self._template = root, schema, limit_mb * 2**20, template
        self._number = -1
        self._writer: Any = None
        self._pictures: dict[str, list[dict[str, Any]]] = {}
        self._held = self._written = 0
        self._rows: list[dict[str, Any]] = []

    def begin(self) -> dict[str, int]:
        """Where the next episode goes: chunk_index and file_index."""
        self._written = 0
        if self._number < 0 or (self._path().exists() and self._path().stat().st_size >= self._limit):
            self.close()
            self._number += 1
        return dict(zip(("chunk_index", "file_index"), divmod(self._number, layout.FILES_PER_CHUNK)))

    def add_picture(self, key: str, image: NDArray[np.uint8] | bytes, pixels: NDArray[np.uint8], number: int) -> None:
        """One picture: a file as it is, pixels as PNG."""
        kind, data = "png", image
        if isinstance(data, bytes):
            with Image.open(io.BytesIO(data)) as file:
                kind, plain = {"JPEG": "jpg"}.get(file.format or "", "png"), file.mode == "RGB"
                plain &= file.format in ("JPEG", "PNG")
        if not isinstance(data, bytes) or not plain:  # grey or transparent files are written anew
            buffer, kind = io.BytesIO(), "png"
            Image.fromarray(pixels).save(buffer, "PNG", compress_level=3)
            data = buffer.getvalue()
        self._held += len(data)
        self._pictures.setdefault(key, []).append({"bytes": data, "path": f"frame-{number:06d}.{kind}"})

    def flush_to(self, columns: dict[str, NDArray[Any]], row: int) -> None:
        """Write the rows of an episode up to ``row`` when enough have gathered, or it is the last."""
        length = len(columns["index"])
        if row < length and self._held < ROW_GROUP_BYTES and row - self._written < ROW_GROUP_ROWS:
            return
        assert self._schema is not None
        arrays = []
        for name in self._schema.names:
            kind = self._schema.field(name).type
            values = self._pictures[name] if name in self._pictures else columns[name][self._written : row]
            if pa.types.is_fixed_size_list(kind):
                flat = pa.array(np.ascontiguousarray(values).ravel(), pa.float32())
                arrays.append(pa.FixedSizeListArray.from_arrays(flat, kind.list_size))
            elif pa.types.is_list(kind):
                arrays.append(_nested(values))
            else:
                arrays.append(pa.array(values if isinstance(values, list) else values.ravel(), kind))
        self._open(self._schema).write_table(pa.table(arrays, schema=self._schema))
        self._pictures, self._held, self._written = {}, 0, row

    def add_row(self, row: dict[str, Any]) -> None:
        """One row of a table whose columns are whatever the first rows hold."""
        self._rows.append(row)
        if len(self._rows) >= ROW_GROUP_ROWS:
            self._flush_rows()

    def close(self) -> None:
        """End the file at hand."""
        self._flush_rows()
        if self._writer:
            self._writer, writer = None, self._writer
            writer.close()

    def _flush_rows(self) -> None:
        if self._rows:
            rows, self._rows = self._rows, []
            table = pa.Table.from_pylist(rows, self._schema)
            self._schema = table.schema
            self._open(table.schema).write_table(table)

    def _open(self, schema: pa.Schema) -> Any:
        if not self._writer:
            self._path().parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._path(), schema, compression="snappy")
        return self._writer

    def _path(self) -> Path:
        chunk, file = divmod(self._number, layout.FILES_PER_CHUNK)
        return self._root / self._template.format(chunk_index=chunk, file_index=file)


def _nested(values: Any) -> pa.Array:
    """A table (N, P, D) a row, as lists of P lists of D numbers."""
    count, rows, width = values.shape
    inner = pa.ListArray.from_arrays(np.arange(count * rows + 1, dtype=np.int32) * width, values.ravel())
    return pa.ListArray.from_arrays(np.arange(count + 1, dtype=np.int32) * rows, inner)


class FilmFiles:
    """The h264 films of one camera."""

    def __init__(self, root: Path, key: str, rate_hz: float, limit_mb: float):
        self._root, self._key, self._limit = root, key, limit_mb * 2**20
        self._rate = Fraction(rate_hz).limit_denominator(100_000)
        self._number = -1
        self._count = 0  # pictures in the file at hand
        self._container: Any = None
        self._stream: Any = None
        self._reformat = VideoReformatter().reformat

    def begin(self) -> dict[str, Any]:
        """Where the next episode goes: chunk_index, file_index, from_timestamp."""
        if self._number < 0 or (self._path().exists() and self._path().stat().st_size >= self._limit):
            self.close()
            self._number += 1
            self._count = 0
        chunk, file = divmod(self._number, layout.FILES_PER_CHUNK)
        return {"chunk_index": chunk, "file_index": file, "from_timestamp": float(self._count / self._rate)}

    def end(self, place: dict[str, Any]) -> dict[str, Any]:
        """``place``, now with to_timestamp."""
        return {**place, "to_timestamp": float(self._count / self._rate)}

    def add(self, image: NDArray[np.uint8]) -> None:
        """One picture, (H, W, 3) RGB."""
        if self._container is None:
            self._open(image.shape[0], image.shape[1])
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = self._reformat(frame, format="yuv420p")
        frame.pts, frame.time_base = self._count, 1 / self._rate
        self._container.mux(self._stream.encode(frame))
        self._count += 1

    def close(self) -> None:
        """End the file at hand."""
        if self._container is not None:
            self._container, container = None, self._container
            try:
                container.mux(self._stream.encode(None))
            finally:
                container.close()

    def info(self, height: int, width: int) -> dict[str, Any]:
        """What info.json says of the film."""
        told = {"height": height, "width": width, "codec": "h264", "pix_fmt": "yuv420p", "is_depth_map": False}
        told |= {"fps": float(self._rate) if self._rate.denominator > 1 else int(self._rate), "channels": 3}
        return {**{f"video.{name}": value for name, value in told.items()}, "has_audio": False}

    def _open(self, height: int, width: int) -> None:
        if height % 2 or width % 2:
            raise DataError(f"{width}x{height}: films need even sizes. Record as images, or crop by a pixel.")
        self._path().parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self._path()), "w", options={"movflags": "faststart"})
        # g=2 as in LeRobot: at most one other picture is decoded to reach any picture
        options = {"crf": "20", "bf": "0", "g": "2"}
        self._stream = self._container.add_stream("libx264", rate=self._rate, options=options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.codec_context.time_base = 1 / self._rate

    def _path(self) -> Path:
        chunk, file = divmod(self._number, layout.FILES_PER_CHUNK)
        return self._root / layout.VIDEOS.format(video_key=self._key, chunk_index=chunk, file_index=file)


def sentences(tasks: list[str]) -> pa.Table:
    """The table of tasks as pandas would write it: the sentences are its index."""
    column = {"name": None, "field_name": layout.TASK_COLUMN, "pandas_type": "unicode", "numpy_type": "object"}
    number = {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"}
    pandas = {
        "index_columns": [layout.TASK_COLUMN],
        "column_indexes": [],
        "columns": [{**number, "metadata": None}, {**column, "metadata": None}],
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), layout.TASK_COLUMN: pa.array(tasks)})
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})
