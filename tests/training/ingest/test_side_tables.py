from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from training.contracts.columns import RAW_TABLES
from training.contracts.errors import AttuneError
from training.ingest.column_map import ColumnMap
from training.ingest.side_tables import age_band, read_layout_sides
from training.ingest.staged_days import staged_side
from training.ingest.staging import stage_table, workspace


def side(path: Path, table: str, text: str, **options: object) -> list[dict]:
    path.write_text(text)
    columns = ColumnMap.from_dict({table: options}, "map")
    with workspace() as place:
        stage_table(place, RAW_TABLES[table], [path], columns)
        return staged_side(place, table).to_pylist()


def test_ages_and_codes_fall_into_bands_and_bands_stay(tmp_path: Path) -> None:
    ages = ["1", "18", "34", "35", "56", "90", "25-34", None]
    bands = ["under 18", "18-24", "25-34", "35-44", "56+", "56+", "25-34", None]
    assert age_band(pd.Series(ages)).tolist() == bands
    text = "user_id,age\n" + "".join(f"u{n},{age or ''}\n" for n, age in enumerate(ages))
    assert [row["age_band"] for row in side(tmp_path / "users.csv", "users", text)] == bands


@pytest.mark.parametrize(
    ("cell", "options", "parts"),
    [
        ("Action Drama", {}, ["Action Drama"]),
        ("Action Drama", {"lists": {"genres": " "}}, ["Action", "Drama"]),
        ("Sci Fi|War", {}, ["Sci Fi", "War"]),
        ("Home, Garden", {"lists": {"genres": ","}}, ["Home", "Garden"]),
        ("", {}, []),
    ],
)
def test_a_category_is_split_only_where_it_is_plain_or_said(
    tmp_path: Path, cell: str, options: dict, parts: list[str]
) -> None:
    (row,) = side(tmp_path / "items.csv", "items", f'item_id,genres\ni,"{cell}"\n', **options)
    assert [word for word in (row["category"], row["subcategory"]) if word] == parts
    assert row["attributes"] == [f"category={word}" for word in parts]


def test_users_without_age_keep_their_columns(tmp_path: Path) -> None:
    assert side(tmp_path / "users.csv", "users", "id,sex\nu,F\n") == [{"user_id": "u", "gender": "F"}]


def test_items_collect_tags_and_unknown_columns(tmp_path: Path) -> None:
    rows = side(tmp_path / "items.csv", "items", "item_id,tags,brand\ni,x|y,acme\nj,,\n")
    assert [row["attributes"] for row in rows] == [["brand=acme", "x", "y"], []]


def test_a_map_chooses_the_attributes(tmp_path: Path) -> None:
    text = "item_id,brand,colour,secret\ni,acme,red,x\n"
    (row,) = side(tmp_path / "items.csv", "items", text, attributes=["colour", "brand"])
    assert row["attributes"] == ["colour=red", "brand=acme"]


def test_a_table_without_its_id_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AttuneError, match=r"a column for user_id in .*people\.csv, found name"):
        side(tmp_path / "people.csv", "users", "name\nAnn\n")


def test_a_layout_without_its_files_tells_nothing(tmp_path: Path) -> None:
    assert read_layout_sides("movielens", tmp_path) == {}


def test_a_sign_up_that_cannot_be_read_is_told_and_costs_no_row(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("user_id,registered\nu,2001-01-01\nv,01/02/2001\nw,\n")
    with workspace() as place:
        staged = stage_table(place, RAW_TABLES["users"], [path], ColumnMap())
        rows = staged_side(place, "users").to_pylist()
    assert [row["signed_up_at"] is None for row in rows] == [False, True, True]
    (note,) = staged.notes
    assert "1 cells of 'registered' are no time, such as '01/02/2001'; signed_up_at was left empty" in note


def test_files_of_one_table_may_have_their_columns_in_another_order(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,country,sex\nu,DE,F\n")
    (tmp_path / "b.csv").write_text("sex,user_id\nM,v\n")
    with workspace() as place:
        stage_table(place, RAW_TABLES["users"], [tmp_path / "a.csv", tmp_path / "b.csv"], ColumnMap())
        rows = staged_side(place, "users").to_pylist()
    assert [(row["user_id"], row["country"], row["gender"]) for row in rows] == [("u", "DE", "F"), ("v", None, "M")]
