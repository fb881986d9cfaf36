"""Traits that public logs have, each in a log of a few rows: what was meant is what is in raw."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from training.contracts.errors import AttuneError
from training.ingest.importers import import_logs
from training.settings import Settings

TIME = "2024-01-02T03:04:05Z"
AT = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def raw(settings: Settings, table: str = "interactions") -> list[dict[str, Any]]:
    paths = sorted(settings.raw_dir(table).rglob("*.parquet"))
    return [row for path in paths for row in pq.ParquetFile(path).read().to_pylist()]


def imported(settings: Settings, logs: Path, columns: dict[str, Any] | str | None = None) -> list[dict[str, Any]]:
    path = None
    if columns is not None:
        path = logs.parent / "map.yaml"
        path.write_text(columns if isinstance(columns, str) else yaml.safe_dump(columns), encoding="utf-8")
    import_logs(settings, logs, "csv", path)
    return raw(settings)


def zipped(name: str, content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, content)
    return target.getvalue()


PLAIN = f"user_id,item_id,timestamp\n007,1e5,{TIME}\n08,b,{TIME}\n"
FILES = {
    "plain": ("events.csv", PLAIN.encode()),
    "semicolons and a byte-order mark": ("events.csv", b"\xef\xbb\xbf" + PLAIN.replace(",", ";").encode()),
    "Excel names its separator": ("events.csv", ("sep=;\n" + PLAIN.replace(",", ";")).encode()),
    "bars": ("events.txt", PLAIN.replace(",", "|").encode()),
    "tabs in a csv": ("events.csv", PLAIN.replace(",", "\t").encode()),
    "two colons": ("events.csv", PLAIN.replace(",", "::").replace("T03:04:05Z", "").encode()),
    "carriage returns and line feeds": ("events.csv", PLAIN.replace("\n", "\r\n").encode()),
    "carriage returns alone": ("events.csv", PLAIN.replace("\n", "\r").encode()),
    "both kinds of line end": ("events.csv", PLAIN.replace("\n", "\r\n", 1).encode()),
    "no line end at the end": ("events.csv", PLAIN.rstrip().encode()),
    "blank lines": ("events.csv", ("\n" + PLAIN.replace("\n", "\n\n")).encode()),
    "all cells quoted": (
        "events.csv",
        ('"' + PLAIN.rstrip().replace(",", '","').replace("\n", '"\n"') + '"\n').encode(),
    ),
    "a space after each comma": ("events.csv", PLAIN.replace(",", ", ").encode()),
    "a space before each quote": (
        "events.csv",
        f'"user_id", "item_id", "timestamp"\n"007", "1e5", "{TIME}"\n"08", "b", "{TIME}"\n'.encode(),
    ),
    "UTF-16 with its mark": ("events.csv", PLAIN.encode("utf-16")),
    "UTF-16 big endian without one": ("events.csv", PLAIN.encode("utf-16-be")),
    "gzip of several members": (
        "events.csv.gz",
        gzip.compress(PLAIN[:30].encode()) + gzip.compress(PLAIN[30:].encode()),
    ),
    "bzip2": ("events.csv.bz2", bz2.compress(PLAIN.encode())),
    "xz": ("events.csv.xz", lzma.compress(PLAIN.encode())),
    "zip": ("events.csv.zip", zipped("x/events.csv", PLAIN.encode())),
    "header in capitals with blanks": ("events.csv", PLAIN.replace("user_id,item_id", "User ID , Item ID").encode()),
    "an index without name": (
        "events.csv",
        f",user_id,item_id,timestamp\n0,007,1e5,{TIME}\n1,08,b,{TIME}\n".encode(),
    ),
    "a column that is there twice": (
        "events.csv",
        f"user_id,note,item_id,Note,timestamp\n007,x,1e5,y,{TIME}\n08,x,b,y,{TIME}\n".encode(),
    ),
    "JSON Lines": (
        "events.jsonl",
        "".join(
            json.dumps({"user_id": u, "item_id": i, "timestamp": TIME}) + "\n" for u, i in (("007", "1e5"), ("08", "b"))
        ).encode(),
    ),
    "one JSON array": (
        "events.json",
        json.dumps(
            [{"user_id": u, "item_id": i, "timestamp": TIME} for u, i in (("007", "1e5"), ("08", "b"))], indent=1
        ).encode(),
    ),
    "JSON in UTF-16": (
        "events.json",
        json.dumps([{"user_id": u, "item_id": i, "timestamp": TIME} for u, i in (("007", "1e5"), ("08", "b"))]).encode(
            "utf-16"
        ),
    ),
}


@pytest.mark.parametrize("trait", FILES)
def test_every_usual_way_to_write_a_file_gives_the_same_rows(settings: Settings, logs: Path, trait: str) -> None:
    name, content = FILES[trait]
    (logs / name).write_bytes(content)
    rows = imported(settings, logs)
    assert [(row["user_id"], row["item_id"]) for row in rows] == [("007", "1e5"), ("08", "b")]
    assert {row["occurred_at"].date() for row in rows} == {AT.date()}


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("20240102030405", {}),
        ("1704164645", {}),
        ("1704164645000", {}),
        ("1704164645000000", {}),
        ("1704164645.0", {}),
        ("2024-01-02 03:04:05 UTC", {}),
        ("2024-01-02 03:04:05+00:00", {}),
        ("2024-01-02T05:04:05+0200", {}),
        ("2024/01/02 03:04:05", {}),
        ("02 Jan 2024 03:04:05", {}),
        ("Tue Jan 02 03:04:05 2024", {}),
        ("02/01/2024 03:04:05", {"time_format": "%d/%m/%Y %H:%M:%S"}),
        ("01/02/24 03-04-05", {"time_format": ["%m/%d/%Y", "%m/%d/%y %H-%M-%S"]}),
        ("2024-01-02 04:04:05", {"timezone": "Europe/Berlin"}),
        ("02.01.2024 04:04:05", {"time_format": "%d.%m.%Y %H:%M:%S", "timezone": "Europe/Berlin"}),
        ("1704164645000", {"time_unit": "ms"}),
    ],
)
def test_a_time_is_read_however_it_is_written(
    settings: Settings, logs: Path, written: str, options: dict[str, Any]
) -> None:
    (logs / "events.csv").write_text(f"user_id;item_id;time\nu;i;{written}\n")
    (row,) = imported(settings, logs, {"interactions": options})
    assert row["occurred_at"] == AT


@pytest.mark.parametrize("written", ["0", "17", "4102444800", "20991231", "99999999", "01/02/2024", "yesterday", "1.5"])
def test_what_is_no_plausible_time_names_value_row_and_remedy(settings: Settings, logs: Path, written: str) -> None:
    (logs / "events.csv").write_text(f"user_id,item_id,time\nu,i,{written}\n")
    with pytest.raises(AttuneError, match=rf"occurred_at of .*found '{written}' in data row 1.*time_format"):
        imported(settings, logs)


@pytest.mark.parametrize("cell", ["", " ", "NULL", "null", "None", "NaN", "nan", "NA", "N/A", "<NA>", "\\N"])
def test_nothing_is_never_an_id(settings: Settings, logs: Path, cell: str) -> None:
    good = "".join(f"u{n},i,{TIME}\n" for n in range(30))
    (logs / "events.csv").write_text(f"user_id,item_id,timestamp\n{cell},i,{TIME}\n{good}")
    assert len(imported(settings, logs)) == 30
    assert len(imported(settings, logs, {"interactions": {"anonymous": "drop"}})) == 30


def test_a_map_says_what_means_nothing(settings: Settings, logs: Path) -> None:
    (logs / "events.csv").write_text(f"user_id,item_id,timestamp\nNA,i,{TIME}\n-1,i,{TIME}\n")
    rows = imported(settings, logs, {"interactions": {"missing": ["-1"], "anonymous": "drop"}})
    assert [row["user_id"] for row in rows] == ["NA"]


def test_quoted_line_breaks_delimiters_and_doubled_quotes_are_read(settings: Settings, logs: Path) -> None:
    text = f'user_id,item_id,surface,timestamp\n"a,1",i,"said ""no""\n\nthen left",{TIME}\nb,j,"x,y",{TIME}\n'
    (logs / "events.csv").write_text(text)
    rows = imported(settings, logs)
    assert [(row["user_id"], row["surface"]) for row in rows] == [("a,1", 'said "no"\n\nthen left'), ("b", "x,y")]


def test_a_condition_and_an_order_read_numbers_in_text_as_numbers(settings: Settings, logs: Path) -> None:
    rows = "".join(f"u,i{place},{TIME},{place},{place % 3 - 1}\n" for place in (10, 9, 2, 1, 100))
    (logs / "events.csv").write_text("user_id,item_id,timestamp,place,Qty\n" + rows)
    found = imported(settings, logs, {"interactions": {"where": "Qty >= 0", "order_by": ["place"], "omit": ["Qty"]}})
    assert [row["item_id"] for row in found] == ["i1", "i2", "i10", "i100"]


def test_a_column_that_the_maps_sql_looks_at_is_not_told_as_unread(settings: Settings, logs: Path) -> None:
    (logs / "events.csv").write_text(f"user_id,item_id,timestamp,Qty,state,note\nu,i,{TIME},2,ok,x\n")
    given = {"interactions": {"where": "QTY > 0", "derive": {"kind": "upper(state)"}, "omit": ["kind"]}}
    (logs.parent / "map.yaml").write_text(yaml.safe_dump(given))
    report = import_logs(settings, logs, "csv", logs.parent / "map.yaml")
    assert "columns left unread in events.csv: note\n" in report.text()


@pytest.mark.parametrize("cell", ["infinity", "-Infinity", "inf", "epoch", "1e300", "-1e300", "199001011", "nan"])
def test_what_only_a_database_takes_for_a_time_is_none(settings: Settings, logs: Path, cell: str) -> None:
    rows = "".join(f"u{n},i,{TIME}\n" for n in range(50))
    (logs / "events.csv").write_text(f"user_id,item_id,timestamp\n{rows}v,i,{cell}\n")
    assert "v" not in {row["user_id"] for row in imported(settings, logs)}


def test_items_and_events_may_both_tell_when_they_arrived(settings: Settings, logs: Path) -> None:
    (logs / "events.csv").write_text(
        "user_id,item_id,timestamp,loaded\nu,i,2024-01-01,2024-01-02\nu,j,2024-01-05,2024-01-06\n"
    )
    (logs / "items.csv").write_text("item_id,created_at,loaded\ni,2024-01-04,2024-01-03\nj,2024-01-04,2024-01-05\n")
    tables = {name: {"file": f"{name}.csv", "arrived_on": "loaded"} for name in ("events", "items")}
    imported(settings, logs, {"interactions": tables["events"], "items": tables["items"]})
    days = {
        table: sorted(path.parent.name for path in settings.raw_dir(table).glob("*/*.parquet"))
        for table in ("interactions", "items")
    }
    assert days == {"interactions": ["dt=2024-01-02", "dt=2024-01-06"], "items": ["dt=2024-01-03", "dt=2024-01-05"]}


def test_quotes_escaped_by_a_backslash_are_read_where_the_map_says_so(settings: Settings, logs: Path) -> None:
    (logs / "events.csv").write_text(f'user_id,surface,item_id,timestamp\nu,"5\\" x, y",i,{TIME}\n')
    (row,) = imported(settings, logs, {"interactions": {"escape": "\\"}})
    assert row["surface"] == '5" x, y'


@pytest.mark.parametrize("delimiter", ["\t", ";", ","])
def test_stray_quotes_cost_no_row(settings: Settings, logs: Path, delimiter: str) -> None:
    lines = [["user_id", "surface", "item_id", "timestamp"]]
    lines += [[f"u{n:02d}", '12" single' if n % 3 else '"unclosed', "i", TIME] for n in range(60)]
    (logs / "events.tsv").write_text("".join(delimiter.join(line) + "\n" for line in lines))
    rows = imported(settings, logs)
    assert len(rows) == 60
    assert {row["surface"] for row in rows} == {'12" single', '"unclosed'}


def test_lines_that_are_no_rows_are_counted_and_kept(settings: Settings, logs: Path) -> None:
    good = "".join(f"u{n},i,{TIME}\n" for n in range(100))
    (logs / "events.csv").write_text(f"user_id,item_id,timestamp\nu\n{good}u,i,{TIME},more\n")
    report = import_logs(settings, logs, "csv")
    (file,) = report.files
    assert (file["read"], file["to_raw"]) == (102, 100)
    assert file["rejected"] == {"line with too few cells": 1, "line with too many cells": 1}
    kept = pq.read_table(settings.home / "quarantine" / "imports" / "csv" / "interactions.parquet").to_pylist()
    assert [(row["row"], row["raw"]) for row in kept] == [(2, "u"), (103, f"u,i,{TIME},more")]


def test_parquet_types_become_text_with_every_digit(settings: Settings, logs: Path) -> None:
    rows = pa.table(
        {
            "user_id": pa.array([Decimal("123456789012345678"), Decimal("7")], pa.decimal128(20, 0)),
            "item_id": pa.array(["x", "y"]).dictionary_encode(),
            "timestamp": pa.array([AT, AT], pa.timestamp("ns", tz="Europe/Berlin")),
            "session": pa.array([2.0**53, None]),
            "context": pa.array([{"page": "home"}, {"page": "cart"}]),
        }
    )
    pq.write_table(rows, logs / "events.parquet")
    found = imported(settings, logs, {"interactions": {"surface": "context.page", "session_id": "session"}})
    assert [row["user_id"] for row in found] == ["123456789012345678", "7"]
    assert [(row["item_id"], row["surface"]) for row in found] == [("x", "home"), ("y", "cart")]
    assert [row["session_id"] for row in found] == ["9007199254740992", None]
    assert {row["occurred_at"] for row in found} == {AT}


def test_numbers_in_parquet_are_read_by_a_time_format(settings: Settings, logs: Path) -> None:
    pq.write_table(pa.table({"user_id": ["u"], "item_id": ["i"], "day": [20240201]}), logs / "events.parquet")
    (row,) = imported(settings, logs, {"interactions": {"time_format": "%Y%d%m"}})
    assert row["occurred_at"].date() == AT.date()


def test_a_nested_id_is_an_error_that_names_the_column(settings: Settings, logs: Path) -> None:
    rows = pa.table({"user_id": [["a"]], "item_id": ["i"], "timestamp": [AT]})
    pq.write_table(rows, logs / "events.parquet")
    with pytest.raises(AttuneError, match=r"column user_id of .*events\.parquet: expected text, found VARCHAR\[\]"):
        imported(settings, logs)


def test_json_numbers_keep_their_digits_and_inner_fields_can_be_mapped(settings: Settings, logs: Path) -> None:
    line = '{"user": {"id": 12345678901234567890}, "item_id": 1.50, "timestamp": 1704164645}\n'
    (logs / "events.jsonl").write_text(line)
    (row,) = imported(settings, logs, {"interactions": {"user_id": "user.id"}})
    assert (row["user_id"], row["occurred_at"]) == ("12345678901234567890", AT)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("events.csv", b"", r"events\.csv, found an empty file"),
        ("events.csv", b"\n\n", r"expected rows in .*events\.csv, found none"),
        ("events.csv", b"\xef\xbb\xbf", r"expected rows in .*events\.csv, found none"),
        ("events.csv", b"\xff\xfe\n\0", r"expected rows in .*events\.csv, found none"),
        ("events.rar", b"Rar!", r"expected a \.csv, .*found events\.rar; .*an archive unpacked"),
        ("events.jsonl", b"\n", r"expected rows in .*events\.jsonl, found none"),
        ("events.json", b"[]", r"expected JSON objects in .*events\.json, found none"),
        ("events.csv.gz", b"no gzip at all", r"expected a whole file at .*events\.csv\.gz, .*fetch it again"),
        ("events.csv.zip", b"no zip at all", r"expected a whole file at .*events\.csv\.zip"),
        ("events.parquet", b"PAR1", r"expected a whole Parquet file at .*events\.parquet"),
        ("events.csv", "user_id,item_id,namé,timestamp\n".encode("latin-1"), r"events\.csv.* first line; name its enc"),
        ("events.csv", b"a1,b1,2024-01-01\na2,b2,2024-01-02\n", r"found data: a1, b1.*header: \[user_id"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_a_remedy(
    settings: Settings, logs: Path, name: str, content: bytes, message: str
) -> None:
    (logs / name).write_bytes(content)
    with pytest.raises(AttuneError, match=message) as error:
        imported(settings, logs)
    assert "\n" not in str(error.value)
    assert not (settings.home / "raw").exists()


def test_another_encoding_is_told_from_a_broken_row_however_few_letters_it_has(settings: Settings, logs: Path) -> None:
    rows = [f"u{n},i,{TIME}\n" for n in range(100)]
    latin = ["user_id,item_id,timestamp\n", *rows, f"m\u00fcller,i,{TIME}\n"]
    (logs / "events.csv").write_bytes("".join(latin).encode("latin-1"))
    with pytest.raises(AttuneError, match=r"expected UTF-8 text in .*events\.csv, .*encoding"):
        imported(settings, logs)
    assert "m\u00fcller" in {
        row["user_id"] for row in imported(settings, logs, {"interactions": {"encoding": "cp1252"}})
    }
    broken = "".join([*latin, f"jos\u00e9,i,{TIME}\n"]).encode() + f"\xff,i,{TIME}\n".encode("latin-1")
    (logs / "events.csv").write_bytes(broken)
    assert len(imported(settings, logs)) == 102


@pytest.mark.parametrize("encoding", ["latin-1", "cp1251", "shift_jis", "utf-16-le"])
def test_a_named_encoding_is_read_and_another_is_an_error(settings: Settings, logs: Path, encoding: str) -> None:
    word = {"latin-1": "málaga", "cp1251": "Москва", "shift_jis": "東京", "utf-16-le": "málaga"}[encoding]
    (logs / "events.csv").write_bytes(f"user_id,item_id,timestamp\n{word},i,{TIME}\n".encode(encoding))
    (row,) = imported(settings, logs, {"interactions": {"encoding": encoding}})
    assert row["user_id"] == word
    with pytest.raises(AttuneError, match="encod"):
        imported(settings, logs, {"interactions": {"encoding": "ascii"}})


def test_one_time_far_ahead_is_left_out_and_counted(settings: Settings, logs: Path) -> None:
    good = "".join(f"u{n},i,{1_700_000_000 + n * 3600}\n" for n in range(40))
    (logs / "events.csv").write_text(f"user_id,item_id,timestamp\n{good}x,i,2122540016\n")
    report = import_logs(settings, logs, "csv")
    assert report.days[-1] < "2023-12-01"
    assert report.files[0]["rejected"] == {"time before 1990 or later than tomorrow (occurred_at)": 1}


def test_lines_that_are_no_json_are_counted(settings: Settings, logs: Path) -> None:
    good = "".join(json.dumps({"user_id": f"u{n}", "item_id": "i", "timestamp": TIME}) + "\n" for n in range(40))
    (logs / "events.jsonl").write_text(good + '{"user_id": "cut\n')
    report = import_logs(settings, logs, "csv")
    assert (report.files[0]["read"], report.files[0]["to_raw"]) == (41, 40)
    assert report.files[0]["rejected"] == {"line that is no JSON object": 1}
