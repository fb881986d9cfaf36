from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.contracts.errors import AttuneError
from training.ingest.column_map import ColumnMap, find_file, read_mapped


def test_names_are_guessed_in_csv_jsonl_and_parquet(tmp_path: Path) -> None:
    texts = {
        "a.csv": "userId,movieId,rating,timestamp\n1,2,3.5,978307200\n",
        "b.tsv": "user\titem\tstars\tdate\n1\t2\t3.5\t2001-01-01\n",
        "c.jsonl": '{"reviewerID": "1", "asin": "2", "overall": 3.5, "unixReviewTime": 978307200}\n',
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    with gzip.open(tmp_path / "d.csv.gz", "wt") as file:
        file.write(texts["a.csv"])
    pq.write_table(pa.table({"uid": [1], "item_id": [2], "score": [3.5], "ts": [978307200000]}), tmp_path / "e.parquet")
    for name in (*texts, "d.csv.gz", "e.parquet"):
        (row,) = read_mapped(tmp_path / name, ColumnMap()).interactions.to_pylist()
        assert (row["user_id"], row["item_id"], row["event_value"]) == ("1", "2", 3.5), name
        assert row["occurred_at"].isoformat() == "2001-01-01T00:00:00+00:00", name


def test_a_map_names_files_columns_event_types_and_constants(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("wer;was;wann;tat\nu;i;2001-01-01T10:00:00;order\nu;j;2001-01-02;look\n")
    (tmp_path / "leute.csv").write_text("wer,land,age\nu,DE,36\n")
    (tmp_path / "map.yaml").write_text(
        "interactions: {file: orders.csv, user_id: wer, item_id: was, occurred_at: wann, event_type: tat}\n"
        "users: {file: leute.csv, user_id: wer, country: land}\n"
        "event_types: {order: purchase}\nconstants: {surface: shop}\n"
    )
    history = read_mapped(tmp_path, ColumnMap.load(tmp_path / "map.yaml"))
    rows = history.interactions.to_pylist()
    assert [row["event_type"] for row in rows] == ["purchase", "look"]
    assert {row["surface"] for row in rows} == {"shop"}
    assert history.users is not None
    assert history.users.to_pylist() == [{"user_id": "u", "country": "DE", "age_band": "35-44"}]


def test_users_and_items_beside_the_events_are_found(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user_id,item_id,timestamp,event_type\nu,i,978307200,click\n")
    (tmp_path / "users.csv").write_text("user_id,country\nu,FR\n")
    (tmp_path / "items.csv").write_text("item_id,genres,brand\ni,Drama|War,acme\n")
    history = read_mapped(tmp_path, ColumnMap())
    assert history.items is not None
    (item,) = history.items.to_pylist()
    assert (item["category"], item["subcategory"]) == ("Drama", "War")
    assert item["attributes"] == ["category=Drama", "category=War", "brand=acme"]
    assert find_file(tmp_path, "users", ColumnMap()) == tmp_path / "users.csv"


def test_values_that_landing_can_judge_pass_as_text(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user,item,ts,rating\nu,i,978307200,4\n,i,978307200,many\n")
    rows = read_mapped(tmp_path, ColumnMap()).interactions.to_pylist()
    assert [(row["user_id"], row["event_value"]) for row in rows] == [("u", "4"), (None, "many")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("interactions: [", "expected YAML"),
        ("just words", "expected tables with their columns"),
        ("event: {user_id: u}", "found 'event'"),
        ("interactions: {usr: u}", "under interactions .* found 'usr'"),
    ],
)
def test_a_map_that_says_nothing_sensible_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(AttuneError, match=message):
        ColumnMap.load(tmp_path / "map.yaml")


def test_a_mapped_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user,item,ts\nu,i,978307200\n")
    columns = ColumnMap.from_dict({"interactions": {"item_id": "sku"}}, "map")
    with pytest.raises(AttuneError, match=r"expected column 'sku' for item_id in .*events\.csv, found user, item, ts"):
        read_mapped(tmp_path, columns)
