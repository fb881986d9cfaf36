from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from training.contracts.errors import AttuneError
from training.ingest.side_tables import age_band, item_rows, split_categories, user_rows

FILE = Path("people.csv")


def test_ages_and_codes_fall_into_bands_and_bands_stay() -> None:
    ages = pd.Series(["1", "18", "34", "35", "56", "90", "25-34", None])
    assert age_band(ages).tolist() == ["under 18", "18-24", "25-34", "35-44", "56+", "56+", "25-34", None]


@pytest.mark.parametrize(
    ("cell", "parts"), [("Action Drama", ["Action", "Drama"]), ("Sci Fi|War", ["Sci Fi", "War"]), ("", []), (None, [])]
)
def test_category_cells_are_split(cell: str | None, parts: list[str]) -> None:
    assert split_categories(cell) == parts


def test_users_without_age_keep_their_columns() -> None:
    assert user_rows(pa.table({"id": ["u"], "sex": ["F"]}), FILE).to_pylist() == [{"user_id": "u", "gender": "F"}]


def test_items_collect_tags_and_unknown_columns() -> None:
    rows = pa.table({"item_id": ["i", "j"], "tags": ["x|y", None], "brand": ["acme", ""], "size": pa.array([[1], [2]])})
    assert [row["attributes"] for row in item_rows(rows, FILE).to_pylist()] == [["brand=acme", "x", "y"], []]


def test_a_table_without_its_id_is_an_error() -> None:
    with pytest.raises(AttuneError, match=r"a column for user_id in people\.csv, found name"):
        user_rows(pa.table({"name": ["Ann"]}), FILE)
