"""Read users and items of a public layout by themselves, for benchmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from training.contracts.columns import RAW_ITEMS, RAW_USERS
from training.ingest.contract_sql import AGE_BANDS
from training.ingest.layout_maps import layout_maps
from training.ingest.source_files import named_files
from training.ingest.staged_days import staged_side
from training.ingest.staging import stage_table, workspace


def age_band(ages: pd.Series) -> pd.Series:
    """Return MovieLens' age bands for ages in years, or for 1M's codes (each band's lower bound).

    Text that is no number is taken for a band already; an empty cell is null.
    """
    years = pd.to_numeric(ages, errors="coerce")
    bands = pd.Series(
        np.select([years >= low for low, _ in AGE_BANDS], [band for _, band in AGE_BANDS], default=""),
        index=ages.index,
        dtype=object,
    )
    return bands.where(years >= 0, ages).where(ages.notna(), None)


def read_layout_sides(layout: str, folder: Path) -> dict[str, pa.Table]:
    """Return the users and items of a layout's release of which most files are in a folder, in contract columns."""
    sides: dict[str, pa.Table] = {}
    for columns in layout_maps(layout):
        for table in (RAW_USERS, RAW_ITEMS):
            paths = named_files(folder, columns.of(table.name).file, table.name, False)
            if paths and table.name not in sides:
                with workspace() as place:
                    stage_table(place, table, paths, columns)
                    sides[table.name] = staged_side(place, table.name)
    return sides
