from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.contracts.errors import AttuneError
from training.ingest.column_map import ColumnMap
from training.ingest.importers import import_logs
from training.settings import Settings

TIME = "2001-01-01T10:00:00Z"


def raw(settings: Settings, table: str = "interactions") -> list[dict[str, Any]]:
    paths = sorted(settings.raw_dir(table).rglob("*.parquet"))
    return [{**row, "dt": path.parent.name} for path in paths for row in pq.ParquetFile(path).read().to_pylist()]


def written(folder: Path, text: str) -> Path:
    path = folder.parent / "map.yaml"
    path.write_text(text)
    return path


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
        settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path / f"home-{name}")})
        import_logs(settings, tmp_path / name, "csv")
        (row,) = raw(settings)
        assert (row["user_id"], row["item_id"], row["event_value"]) == ("1", "2", 3.5), name
        assert row["event_type"] == "rating", name
        assert row["occurred_at"].isoformat() == "2001-01-01T00:00:00+00:00", name


def test_a_map_names_files_columns_event_types_and_constants(settings: Settings, logs: Path) -> None:
    (logs / "orders.csv").write_text("wer;was;wann;tat\nu;i;2001-01-01T10:00:00;order\nu;j;2001-01-02;look\n")
    (logs / "leute.csv").write_text("wer,land,age\nu,DE,36\n")
    columns = written(
        logs,
        "interactions: {file: orders.csv, user_id: wer, item_id: was, occurred_at: wann, event_type: tat}\n"
        "users: {file: leute.csv, user_id: wer, country: land}\n"
        "event_types: {order: purchase, look: view}\nconstants: {surface: shop}\n",
    )
    import_logs(settings, logs, "csv", columns)
    assert [row["event_type"] for row in raw(settings)] == ["purchase", "view"]
    assert {row["surface"] for row in raw(settings)} == {"shop"}
    (user,) = raw(settings, "users")
    assert (user["user_id"], user["country"], user["age_band"]) == ("u", "DE", "35-44")


def test_users_and_items_beside_the_events_are_found(settings: Settings, logs: Path) -> None:
    (logs / "events.csv").write_text("user_id,item_id,timestamp,event_type\nu,i,978307200,click\n")
    (logs / "users.csv").write_text("user_id,country\nu,FR\n")
    (logs / "items.csv").write_text("item_id,genres,brand\ni,Drama|War,acme\n")
    import_logs(settings, logs, "csv")
    (item,) = raw(settings, "items")
    assert (item["category"], item["subcategory"]) == ("Drama", "War")
    assert item["attributes"] == ["category=Drama", "category=War", "brand=acme"]
    assert raw(settings, "users")[0]["country"] == "FR"


def test_rows_are_dropped_by_a_condition_and_counted(settings: Settings, logs: Path) -> None:
    (logs / "events.csv").write_text(f"user_id,item_id,timestamp,state\nu,i,{TIME},ok\nv,j,{TIME},void\nw,k,{TIME},\n")
    columns = written(logs, "interactions: {where: \"state = 'ok'\"}\n")
    report = import_logs(settings, logs, "csv", columns)
    assert [row["user_id"] for row in raw(settings)] == ["u"]
    assert report.files[0]["dropped"] == {"where": 2}


def test_several_files_and_globs_are_one_table_in_their_order(settings: Settings, logs: Path) -> None:
    for number in (1, 2, 3):
        (logs / f"part-{number}.csv").write_text(f"user_id,item_id,timestamp\nu,i{number},{TIME}\n")
    import_logs(settings, logs, "csv", written(logs, "interactions: {file: [part-3.csv, 'part-*.csv']}\n"))
    assert [row["item_id"] for row in raw(settings)] == ["i3", "i1", "i2"]


def test_event_types_may_be_dropped_and_are_counted(settings: Settings, logs: Path) -> None:
    (logs / "events.csv").write_text(f"user_id,item_id,timestamp,event\nu,i,{TIME},Buy\nu,j,{TIME},undo\n")
    report = import_logs(settings, logs, "csv", written(logs, "event_types: {Buy: purchase, undo: drop}\n"))
    assert [row["event_type"] for row in raw(settings)] == ["purchase"]
    assert report.event_types["undo"] == {"becomes": None, "read": 1, "to_raw": 0, "rejected": 0, "dropped": 1}


def test_every_table_may_say_when_its_rows_arrived(settings: Settings, logs: Path) -> None:
    (logs / "events.csv").write_text(f"user_id,item_id,timestamp,arrival\nu,i,{TIME},2001-01-03\n")
    (logs / "users.csv").write_text("user_id,since\nu,2001-01-02\n")
    text = "interactions: {arrived_on: arrival}\nusers: {arrived_on: since}\n"
    import_logs(settings, logs, "csv", written(logs, text))
    assert (raw(settings)[0]["dt"], raw(settings, "users")[0]["dt"]) == ("dt=2001-01-03", "dt=2001-01-02")


def test_a_guessed_column_can_be_left_out(settings: Settings, logs: Path) -> None:
    (logs / "events.csv").write_text(f"user_id,item_id,timestamp,type,price\nu,i,{TIME},Hardcover,x\n")
    with pytest.raises(AttuneError, match=r"'Hardcover' \(1 rows\).*omit: \[type\]"):
        import_logs(settings, logs, "csv", written(logs, "interactions: {event_value: null}\n"))
    import_logs(settings, logs, "csv", written(logs, "interactions: {omit: [type, price]}\n"))
    assert raw(settings)[0]["event_type"] == "click"


def test_scalars_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("event_types: {1: click, no: view}\nconstants: {occurred_at: 2015-01-01}\n")
    columns = ColumnMap.load(path)
    assert columns.event_types == {"1": "click", "no": "view"}
    assert columns.constants == {"occurred_at": "2015-01-01"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("interactions: [", "expected YAML"),
        ("just words", "expected tables with their columns"),
        ("event: {user_id: u}", "found 'event'"),
        ("interactions: {usr: u}", "interactions.usr: .* under interactions .* found 'usr'"),
        ("event_types: {order: buy}", "event_types.order: expected one of view, .*, or drop .* found 'buy'"),
        ("interactions: {encoding: latin-99}", "interactions.encoding: expected an encoding .* found 'latin-99'"),
        ("interactions: {timezone: Mars}", "interactions.timezone: expected a time zone .* found 'Mars'"),
        (
            "interactions: {time_unit: weeks}",
            "interactions.time_unit: expected 's', 'ms', 'us' or 'ns'.* found 'weeks'",
        ),
        ("interactions: {anonymous: keep}", "interactions.anonymous: expected 'drop'.* found 'keep'"),
        ("users: {anonymous: drop}", "users.anonymous: .* under users .* found 'anonymous'"),
        ("constants: {colour: red}", "constants: expected columns of interactions, found 'colour'"),
    ],
)
def test_a_map_that_says_nothing_sensible_is_an_error_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(AttuneError, match=message) as error:
        ColumnMap.load(tmp_path / "map.yaml")
    assert "map.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_mapped_column_that_is_not_there_is_named(settings: Settings, logs: Path) -> None:
    (logs / "events.csv").write_text("user,item,ts\nu,i,978307200\n")
    with pytest.raises(AttuneError, match=r"expected column 'sku' for item_id in .*events\.csv, found user, item, ts"):
        import_logs(settings, logs, "csv", written(logs, "interactions: {item_id: sku}\n"))
