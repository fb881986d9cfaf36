"""Read RecBole's atomic files: `*.inter`, `*.user`, `*.item`, tab-separated under a header of `name:type`.

Zhao et al., "RecBole: Towards a Unified, Comprehensive and Efficient Framework for Recommendation Algorithms", 2021.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from training.contracts.columns import RAW_INTERACTIONS
from training.contracts.errors import AttuneError, MissingArtefact
from training.ingest.column_names import guess
from training.ingest.history import History
from training.ingest.side_tables import item_rows, user_rows
from training.ingest.sources import read_csv
from training.ingest.typed_columns import typed

_SIDES = {".user": ("users", user_rows), ".item": ("items", item_rows)}


def read_recbole(folder: Path) -> History:
    """Return the history in a folder of atomic files; the event type is rating where there is one, else click.

    Raises:
        MissingArtefact: The folder has no `.inter` file.
        AttuneError: It has several, or a file does not parse.
    """
    path = _only(folder, ".inter")
    if path is None:
        raise MissingArtefact(f"expected a .inter file in {folder}, found none; name the data set's folder")
    rows = read_atomic(path)
    columns = guess(RAW_INTERACTIONS.name, rows.column_names)
    event_type = "rating" if "event_value" in columns.values() else "click"
    interactions = typed(rows, path, columns=columns, constants={"event_type": event_type})
    return History(source=str(folder), interactions=interactions, **read_sides(folder))


def read_sides(folder: Path) -> dict[str, pa.Table]:
    """Return users and items of the `.user` and `.item` files in a folder, as far as they exist."""
    sides = {}
    for suffix, (table, to_contract) in _SIDES.items():
        path = _only(folder, suffix)
        if path is not None:
            sides[table] = to_contract(read_atomic(path), path)
    return sides


def read_atomic(path: Path) -> pa.Table:
    """Return the text columns of an atomic file under their names without the type.

    Raises:
        AttuneError: The header names a column without its type.
    """
    rows = read_csv(path, "\t", quoted=False)
    untyped = [name for name in rows.column_names if ":" not in name]
    if untyped:
        raise AttuneError(
            f"expected columns as name:type in {path}, found {untyped[0]!r}; "
            "write the type after each name, such as user_id:token"
        )
    return rows.rename_columns([name.split(":")[0] for name in rows.column_names])


def _only(folder: Path, suffix: str) -> Path | None:
    found = sorted(folder.glob(f"*{suffix}"))
    if len(found) > 1:
        raise AttuneError(f"expected one {suffix} file in {folder}, found {len(found)}; move the others away")
    return found[0] if found else None
