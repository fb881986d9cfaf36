"""Write rankings to a file as they come: text for ids without white space, Parquet or JSON Lines for any ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, get_args

import numpy as np

from training.arrays import Floats
from training.contracts.errors import AttuneError

Form = Literal["tsv", "parquet", "jsonl"]
FORMS: tuple[Form, ...] = get_args(Form)


@dataclass(frozen=True)
class Line:
    """One ranking: who was asked for, what was found, best first, its scores float32 [k], and who answered."""

    query: str
    ids: list[str]
    scores: Floats
    consumer: str


class RankFile(Protocol):
    """A file of rankings that is open for writing."""

    def __enter__(self) -> Self:
        """Open the file."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        ...

    def write(self, lines: Iterable[Line]) -> None:
        """Add rankings."""
        ...


def form_of(path: Path, form: Form | None) -> Form:
    """Return the form that is asked for, or that a file's ending names; "tsv" for an ending that names none."""
    named: dict[str, Form] = {f".{name}": name for name in FORMS}
    return form or named.get(path.suffix.lower(), "tsv")


def open_rank_file(path: Path, form: Form) -> RankFile:
    """Return a writer of one form; nothing is written before it is entered."""
    kinds: dict[Form, Callable[[Path], RankFile]] = {"tsv": TextFile, "parquet": ParquetFile, "jsonl": JsonLinesFile}
    return kinds[form](path)


class _LineFile:
    """A text file of one line for each ranking, in UTF-8."""

    def __init__(self, path: Path) -> None:
        """Remember the path."""
        self._path = path

    def __enter__(self) -> Self:
        """Open the file."""
        self._file = self._path.open("w", encoding="utf-8", newline="\n")
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()


class TextFile(_LineFile):
    """`id<TAB>id id ...`, a line for each ranking, without scores."""

    def write(self, lines: Iterable[Line]) -> None:
        """Add rankings.

        Raises:
            AttuneError: An id contains white space, so that it could not be told from two.
        """
        for line in lines:
            text = " ".join(line.ids)
            if len(text.split()) != len(line.ids) or line.query.split() != [line.query]:
                _refuse_white_space([line.query, *line.ids])
            self._file.write(f"{line.query}\t{text}\n")


class JsonLinesFile(_LineFile):
    """One JSON object a line: `query`, `ids`, `scores` and the `consumer` that answered."""

    def write(self, lines: Iterable[Line]) -> None:
        """Add rankings."""
        self._file.writelines(f"{json.dumps(_values(line), ensure_ascii=False)}\n" for line in lines)


class ParquetFile:
    """The columns `query`, `ids`, `scores` and `consumer`, a row for each ranking."""

    def __init__(self, path: Path) -> None:
        """Remember the path."""
        import pyarrow as pa

        self._path = path
        self._schema = pa.schema(
            [
                ("query", pa.string()),
                ("ids", pa.list_(pa.string())),
                ("scores", pa.list_(pa.float32())),
                ("consumer", pa.string()),
            ]
        )

    def __enter__(self) -> Self:
        """Open the file."""
        import pyarrow.parquet as pq

        self._writer = pq.ParquetWriter(self._path, self._schema, compression="zstd")
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._writer.close()

    def write(self, lines: Iterable[Line]) -> None:
        """Add rankings as one row group."""
        import pyarrow as pa

        rows = [_values(line) for line in lines]
        if rows:
            self._writer.write_table(pa.Table.from_pylist(rows, schema=self._schema))


def _values(line: Line) -> dict[str, Any]:
    scores = np.round(line.scores.astype(np.float64), 6).tolist()
    return {"query": line.query, "ids": line.ids, "scores": scores, "consumer": line.consumer}


def _refuse_white_space(ids: Iterable[str]) -> None:
    found = next(name for name in ids if name.split() != [name])
    raise AttuneError(
        f"expected ids without white space in a text file of rankings, found {found!r}; write Parquet or JSON Lines "
        "instead (--format parquet, --format jsonl, or such an ending of --out)"
    )
