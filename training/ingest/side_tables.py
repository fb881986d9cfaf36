"""Turn a source's user and item attributes into the contract's users and items."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from training.contracts.columns import RAW_ITEMS, RAW_USERS
from training.ingest.column_names import guess
from training.ingest.conversion import LIST_SEPARATOR, STRINGS, convert
from training.ingest.typed_columns import typed

_AGE_BANDS = ((56, "56+"), (50, "50-55"), (45, "45-49"), (35, "35-44"), (25, "25-34"), (18, "18-24"), (0, "under 18"))


def age_band(ages: pd.Series) -> pd.Series:
    """Return MovieLens' age bands for ages in years, or for 1M's codes (each band's lower bound).

    Text that is no number is taken for a band already; an empty cell is null.
    """
    years = pd.to_numeric(ages, errors="coerce")
    bands = pd.Series(
        np.select([years >= low for low, _ in _AGE_BANDS], [band for _, band in _AGE_BANDS], default=""),
        index=ages.index,
        dtype=object,
    )
    return bands.where(years >= 0, ages).where(ages.notna(), None)


def user_rows(rows: pa.Table, path: Path, named: Mapping[str, str] | None = None) -> pa.Table:
    """Return users in contract columns; what the contract does not know is left out.

    Args:
        rows: Attributes, one row per user.
        path: Their file, for messages.
        named: Source name by contract name; others are guessed.

    Raises:
        AttuneError: No column holds the user.
    """
    users = typed(rows, path, RAW_USERS.name, guess(RAW_USERS.name, rows.column_names, named))
    if "age_band" not in users.column_names:
        return users
    at = users.column_names.index("age_band")
    bands = age_band(users["age_band"].to_pandas())
    return users.set_column(at, "age_band", pa.array(bands, pa.string(), from_pandas=True))


def item_rows(rows: pa.Table, path: Path, named: Mapping[str, str] | None = None) -> pa.Table:
    """Return items in contract columns; every other column becomes an attribute `name=value`.

    A category cell may hold several words or parts joined by a bar: the first is the category, the second the
    subcategory unless a column names it, and each an attribute.

    Args:
        rows: Attributes, one row per item.
        path: Their file, for messages.
        named: Source name by contract name; others are guessed.

    Raises:
        AttuneError: No column holds the item.
    """
    names = guess(RAW_ITEMS.name, rows.column_names, named)
    items = typed(rows, path, RAW_ITEMS.name, names).to_pandas()
    extras = [_as_attributes(rows[name], name) for name in rows.column_names if name not in names]
    if "category" in items:
        parts = items["category"].map(split_categories)
        items["category"] = parts.map(lambda words: words[0] if words else None)
        if "subcategory" not in items:
            items["subcategory"] = parts.map(lambda words: words[1] if len(words) > 1 else None)
        extras.insert(0, [[f"category={word}" for word in words] for words in parts])
    if "attributes" in items:
        extras.append([[] if tags is None else list(tags) for tags in items["attributes"]])
    joined = [list(chain.from_iterable(extra[row] for extra in extras)) for row in range(len(items))]
    fields = {name: pa.array(items[name], from_pandas=True) for name in items if name != "attributes"}
    return pa.table({**fields, "attributes": pa.array(joined, STRINGS)})


def split_categories(cell: str | None) -> list[str]:
    """Return the categories in a cell: parts between bars, else words, so that "Action Drama" is two."""
    if cell is None or pd.isna(cell):
        return []
    parts = cell.split(LIST_SEPARATOR) if LIST_SEPARATOR in cell else cell.split()
    return [part.strip() for part in parts if part.strip()]


def _as_attributes(values: pa.ChunkedArray, name: str) -> list[list[str]]:
    if pa.types.is_nested(values.type):
        return [[] for _ in range(len(values))]
    text = convert(values, "string").values.to_pylist()
    return [[] if cell in (None, "") else [f"{name}={cell}"] for cell in text]
