from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.ingest.day_files import DayFiles
from training.ingest.importers import FORMATS, import_logs
from training.ingest.landing import land
from training.settings import Settings

DAY_ONE = 978_307_200  # 2001-01-01T00:00:00Z


def raw(settings: Settings, table: str = "interactions") -> list[dict]:
    paths = sorted(settings.raw_dir(table).rglob("*.parquet"))
    return [{**row, "dt": path.parent.name} for path in paths for row in pq.ParquetFile(path).read().to_pylist()]


def tree(settings: Settings) -> dict[str, bytes]:
    return {str(p.relative_to(settings.home)): p.read_bytes() for p in settings.home.rglob("*") if p.is_file()}


def movielens_100k(folder: Path) -> None:
    lines = [("1", "10", 4, 60), ("2", "11", 3, 86_400), ("1", "12", 5, 60), ("1", "11", 2, 3 * 86_400)]
    (folder / "u.data").write_text("".join(f"{u}\t{i}\t{r}\t{DAY_ONE + t}\n" for u, i, r, t in lines))
    (folder / "u.user").write_text("1|24|M|technician|85711\n2|53|F|other|94043\n")
    flags = "|".join(["0"] * 5 + ["1"] + ["0"] * 2 + ["1"] + ["0"] * 10)
    (folder / "u.item").write_bytes(f"10|Caf\xe9 (1995)|01-Jan-1995||http://x|{flags}\n".encode("latin-1"))


def test_movielens_100k_becomes_days_users_and_items(settings: Settings, logs: Path) -> None:
    movielens_100k(logs)
    report = import_logs(settings, logs, "movielens")
    assert report.days == ("2001-01-01", "2001-01-02", "2001-01-04")
    assert (report.num_interactions, report.num_users, report.num_items, report.days_written) == (4, 2, 1, 3)
    first, second, *_ = raw(settings)
    assert (first["item_id"], first["event_type"], first["event_value"]) == ("10", "rating", 4.0)
    assert second["item_id"] == "12"
    assert second["occurred_at"] == datetime(2001, 1, 1, 0, 1, 0, 1, tzinfo=UTC)
    assert [user["age_band"] for user in raw(settings, "users")] == ["18-24", "50-55"]
    (item,) = raw(settings, "items")
    assert (item["title"], item["category"], item["subcategory"]) == ("Café (1995)", "Comedy", "Drama")
    assert item["attributes"] == ["genre=Comedy", "genre=Drama", "decade=1990s"]
    assert item["created_at"] == datetime(1995, 1, 1, tzinfo=UTC)
    assert item["dt"] == "dt=2001-01-01"


def test_movielens_100k_takes_atomic_files_for_attributes_that_are_missing(settings: Settings, logs: Path) -> None:
    movielens_100k(logs)
    (logs / "u.user").unlink()
    (logs / "u.item").unlink()
    (logs / "ml.user").write_text("user_id:token\tage:token\n1\t24\n")
    report = import_logs(settings, logs, "movielens")
    assert (report.num_users, report.num_items) == (1, 0)


def test_movielens_dat_and_its_parquet_twin_keep_each_users_order(settings: Settings, logs: Path) -> None:
    (logs / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    (logs / "movies.dat").write_bytes("5::Am\xe9lie (2001)::Comedy|Romance\n".encode("latin-1"))
    rows = {"user": [2, 1, 1], "item": [5, 7, 6], "pos": [0, 1, 0], "ts": [DAY_ONE] * 3, "exact": [1, 1, 1]}
    pq.write_table(pa.table(rows), logs / "interactions.parquet")
    import_logs(settings, logs, "movielens")
    ordered = sorted(raw(settings), key=lambda row: (row["user_id"], row["occurred_at"]))
    assert [(row["user_id"], row["item_id"]) for row in ordered] == [("1", "6"), ("1", "7"), ("2", "5")]
    users = raw(settings, "users")
    assert [(u["age_band"], u["occupation"]) for u in users] == [("under 18", "K-12 student"), ("56+", "self-employed")]
    (logs / "ratings.dat").write_text(f"1::5::3::{DAY_ONE}\n")
    assert import_logs(settings, logs, "movielens").num_interactions == 1
    assert raw(settings)[0]["event_value"] == 3.0


def test_recbole_reads_typed_headers_and_keeps_other_columns_as_attributes(settings: Settings, logs: Path) -> None:
    (logs / "x.inter").write_text(f"user_id:token\titem_id:token\trating:float\ttimestamp:float\nu\ti\t3\t{DAY_ONE}\n")
    (logs / "x.item").write_text(
        'item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\ni\tToy "Story\t1995\tComedy War\n'
    )
    (logs / "x.user").write_text("user_id:token\tage:token\tgender:token\nu\t24\tM\n")
    import_logs(settings, logs, "recbole")
    (item,), (user,) = raw(settings, "items"), raw(settings, "users")
    assert (item["title"], item["category"], item["subcategory"]) == ('Toy "Story', "Comedy", "War")
    assert item["attributes"] == ["category=Comedy", "category=War", "release_year=1995"]
    assert (user["age_band"], user["gender"]) == ("18-24", "M")
    assert raw(settings)[0]["event_type"] == "rating"


@pytest.mark.parametrize("order", ["user first", "item first"])
def test_amazon_ratings_in_either_release_order(settings: Settings, logs: Path, order: str) -> None:
    user, item = "A2SUAM1J3GNN3B", "0000013714"
    pair = f"{user},{item}" if order == "user first" else f"{item},{user}"
    (logs / "ratings_Beauty.csv").write_text(f"{pair},5.0,{DAY_ONE}\n")
    import_logs(settings, logs, "amazon")
    (row,) = raw(settings)
    assert (row["user_id"], row["item_id"], row["event_value"]) == (user, item, 5.0)


def test_amazon_sequences_one_user_a_line(settings: Settings, logs: Path) -> None:
    (logs / "item.txt").write_text("1 7 8\n2 9\n")
    (logs / "time.txt").write_text(f"1 {DAY_ONE} {DAY_ONE}\n2 {DAY_ONE + 86_400}\n")
    import_logs(settings, logs, "amazon")
    assert [(r["user_id"], r["item_id"], r["dt"]) for r in raw(settings)] == [
        ("1", "7", "dt=2001-01-01"),
        ("1", "8", "dt=2001-01-01"),
        ("2", "9", "dt=2001-01-02"),
    ]
    (logs / "time.txt").write_text(f"1 {DAY_ONE}\n2 {DAY_ONE}\n")
    with pytest.raises(AttuneError, match=r"user 1 with 2 times in line 1 of .*time\.txt, found user 1 with 1"):
        import_logs(settings, logs, "amazon")


def test_history_stops_at_until_and_a_later_until_adds_the_rest(settings: Settings, logs: Path, tmp_path: Path) -> None:
    movielens_100k(logs)
    report = import_logs(settings, logs, "movielens", until=Partition.parse("2001-01-03"))
    assert (report.days_written, len(report.days), report.num_interactions) == (2, 3, 3)
    assert {row["dt"] for row in raw(settings)} == {"dt=2001-01-01", "dt=2001-01-02"}
    import_logs(settings, logs, "movielens")
    whole = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "whole")})
    import_logs(whole, logs, "movielens")
    import_logs(whole, logs, "movielens")
    assert tree(settings) == tree(whole)
    with pytest.raises(AttuneError, match=r"expected days up to 2000-12-31, found .* from 2001-01-01 on"):
        import_logs(settings, logs, "movielens", until=Partition.parse("2000-12-31"))


def test_what_is_imported_lands(settings: Settings, logs: Path) -> None:
    movielens_100k(logs)
    import_logs(settings, logs, "movielens")
    report = land(settings, Partition.parse("2001-01-04"))
    assert report.rows == {"interactions": 4, "users": 2, "items": 1}
    assert report.quarantined == {}


@pytest.mark.parametrize(
    ("format", "files", "message"),
    [
        ("movielens", {}, r"expected ratings\.dat or interactions\.parquet or u\.data"),
        ("movielens", {"u.data": ""}, r"u\.data, found an empty file"),
        ("movielens", {"u.data": "1\t2\t3\tnoon\n"}, r"column occurred_at of .*u\.data, found 'noon' in data row 1"),
        (
            "movielens",
            {"u.data": "1\t2\t3\n"},
            r"expected 4 columns in .*u\.data as interactions\.header names, found 3",
        ),
        (
            "movielens",
            {"interactions.parquet": "PAR1 cut"},
            r"expected a whole Parquet file at .*interactions\.parquet",
        ),
        ("recbole", {}, r"expected \*\.inter in"),
        ("recbole", {"x.inter": "user_id\titem_id\n1\t2\n"}, r"expected columns as name:type .* found 'user_id'"),
        ("recbole", {"x.inter": "user_id:token\titem_id:token\n1\t2\n"}, r"a column for occurred_at in .*x\.inter"),
        ("recbole", {"x.inter": "user_id:token\n", "y.inter": "user_id:token\n"}, r"expected one \.inter file"),
        ("amazon", {}, r"expected .*\*\.csv.* in .*logs, found none; name the unpacked folder"),
        ("amazon", {"item.txt": "1 2\n"}, r"expected a file at .*time\.txt, found none"),
        ("csv", {}, r"expected a \.csv, \.parquet or \.jsonl of interactions"),
        ("csv", {"events.csv": "user,item,time\n"}, r"found only a header"),
        (
            "csv",
            {"events.csv": "user,item,time\n1,2\n"},
            r"line with too few cells \(1 rows\): line 2 of .*events\.csv, '1,2'",
        ),
        ("csv", {"events.csv": "user,time\n1,5\n"}, r"a column for item_id in .*events\.csv, found user, time"),
        (
            "csv",
            {"events.jsonl": '{"user": \n'},
            r"expected JSON objects in .*events\.jsonl, found .*[Mm]alformed JSON",
        ),
        ("xml", {}, r"expected FORMAT as one of csv, amazon, hm, .*, found 'xml'"),
    ],
)
def test_bad_sources_are_one_line_errors_that_name_the_file(
    settings: Settings, logs: Path, format: str, files: dict[str, str], message: str
) -> None:
    for name, text in files.items():
        (logs / name).write_text(text)
    with pytest.raises(AttuneError, match=message) as error:
        import_logs(settings, logs, format)
    assert "\n" not in str(error.value)
    assert not (settings.home / "raw").exists()


def test_a_missing_folder_is_named(settings: Settings, tmp_path: Path) -> None:
    for format in FORMATS:
        with pytest.raises(AttuneError, match=r"expected logs at .*nowhere, found nothing there"):
            import_logs(settings, tmp_path / "nowhere", format)


def test_importing_a_source_again_leaves_nothing_of_the_first(settings: Settings, logs: Path, tmp_path: Path) -> None:
    (logs / "events.csv").write_text(
        "user,item,shipped,ordered\nu,i,2001-01-05,2001-01-01\nv,j,2001-01-06,2001-01-02\n"
    )
    (tmp_path / "wrong.yaml").write_text("interactions: {occurred_at: shipped}\n")
    (tmp_path / "right.yaml").write_text("interactions: {occurred_at: ordered}\n")
    import_logs(settings, logs, "csv", tmp_path / "wrong.yaml")
    import_logs(settings, logs, "csv", tmp_path / "right.yaml", until=Partition.parse("2001-01-01"))
    assert [row["dt"] for row in raw(settings)] == ["dt=2001-01-01"]
    import_logs(settings, logs, "csv", tmp_path / "right.yaml")
    assert [row["dt"] for row in raw(settings)] == ["dt=2001-01-01", "dt=2001-01-02"]
    assert sorted(path.name for path in settings.raw_dir("interactions").iterdir()) == [
        "dt=2001-01-01",
        "dt=2001-01-02",
    ]


def test_two_sources_stay_apart_whatever_their_format(settings: Settings, logs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for folder, user in ((logs, "u"), (other, "v")):
        (folder / "events.csv").write_text(f"user,item,time\n{user},i,2001-01-01\n")
        import_logs(settings, folder, "csv")
    assert sorted(row["user_id"] for row in raw(settings)) == ["u", "v"]
    assert len({row["event_id"] for row in raw(settings)}) == 2
    (other / "events.csv").write_text("user,item,time\nw,i,2001-01-02\n")
    import_logs(settings, other, "csv")
    assert sorted(row["user_id"] for row in raw(settings)) == ["u", "w"]


def test_every_day_of_every_table_is_marked_whole(settings: Settings, logs: Path) -> None:
    movielens_100k(logs)
    import_logs(settings, logs, "movielens")
    days = [folder for table in ("interactions", "users", "items") for folder in settings.raw_dir(table).glob("dt=*")]
    assert len(days) == 5
    assert all((day / "_SUCCESS").is_file() for day in days)


def test_a_killed_import_leaves_no_day_marked_and_the_next_one_completes_it(
    settings: Settings, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    movielens_100k(logs)
    written: list[str] = []
    write = DayFiles.write

    def dying(self: DayFiles, table: str, partition: Partition, rows: object) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(str(partition))
        write(self, table, partition, rows)

    monkeypatch.setattr(DayFiles, "write", dying)
    with pytest.raises(KeyboardInterrupt):
        import_logs(settings, logs, "movielens")
    monkeypatch.undo()
    assert len(written) == 2
    assert not list(settings.home.rglob("_SUCCESS"))
    import_logs(settings, logs, "movielens")
    whole = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "whole")})
    import_logs(whole, logs, "movielens")
    assert tree(settings) == tree(whole)


def test_a_preview_says_the_same_and_writes_nothing(settings: Settings, logs: Path) -> None:
    movielens_100k(logs)
    preview = import_logs(settings, logs, "movielens", preview=True)
    assert not settings.home.exists()
    report = import_logs(settings, logs, "movielens")
    assert preview.to_dict() | {"is_preview": False} == report.to_dict()
    assert "preview: nothing was written" in preview.text()


def test_the_report_accounts_for_every_row(settings: Settings, logs: Path, tmp_path: Path) -> None:
    good = "".join(f"u{n},i{n},{DAY_ONE + n},view,a\n" for n in range(60))
    bad = f"u,i,soon,view,a\n,i,{DAY_ONE},view,a\nu,i,{DAY_ONE},view,b\nu,i,{DAY_ONE},undo,a\nu,i\n"
    (logs / "events.csv").write_text("user,item,time,event,shop\n" + good + bad)
    (logs / "notes.txt").write_text("nothing of interest\n")
    (tmp_path / "map.yaml").write_text(
        "interactions: {file: events.csv, where: \"shop = 'a'\", anonymous: drop}\nevent_types: {undo: drop}\n"
    )
    report = import_logs(settings, logs, "csv", tmp_path / "map.yaml")
    (file,) = report.files
    assert (file["read"], file["to_raw"]) == (65, 60)
    assert file["rejected"] == {"text that is no time (occurred_at)": 1, "line with too few cells": 1}
    assert file["dropped"] == {"where": 1, "anonymous": 1, "event type undo": 1}
    assert file["read"] == file["to_raw"] + sum(file["rejected"].values()) + sum(file["dropped"].values())
    assert report.event_types["view"] == {"becomes": "view", "read": 63, "to_raw": 60, "rejected": 1, "dropped": 2}
    assert {one["column"]: (one["source"], one["by"]) for one in report.columns} == {
        "user_id": ("user", "guess"),
        "item_id": ("item", "guess"),
        "occurred_at": ("time", "guess"),
        "event_type": ("event", "guess"),
    }
    assert report.unread_files == ("notes.txt",)
    assert (report.first, report.last) == ("2001-01-01T00:00:00Z", "2001-01-01T00:00:59Z")
    kept = (settings.reports_dir / "imports" / "csv.txt").read_text()
    assert kept == report.text() + "\n"
    assert "line with too few cells: 1" in kept


def test_an_event_type_that_loses_too_many_rows_stops_the_import(settings: Settings, logs: Path) -> None:
    views = "".join(f"u,i,{DAY_ONE + n},view\n" for n in range(400))
    (logs / "events.csv").write_text("user,item,time,event\n" + views + "u,i,soon,purchase\n" * 3)
    with pytest.raises(AttuneError, match=r"rows of event type 'purchase' to be rejected, found 3 of 3.*'soon'"):
        import_logs(settings, logs, "csv")
    assert not (settings.home / "raw").exists()


def test_users_and_items_arrive_when_they_came_into_being(settings: Settings, logs: Path) -> None:
    (logs / "events.csv").write_text(
        "user,item,time\nu,i,2001-01-01\nv,j,2001-01-01\nu,k,2001-01-03\nw,l,2001-01-06\nu,i,2001-01-08\n"
    )
    (logs / "users.csv").write_text("user_id,signup\nold,1999-05-05\nu,2001-01-02\nw,2001-01-06\nlate,2001-02-01\nx,\n")
    (logs / "items.csv").write_text("item_id,created_at\ni,1998-01-01\nj,2001-01-05\nl,2001-01-06\nm,2002-01-01\n")
    report = import_logs(settings, logs, "csv")
    assert {row["user_id"]: row["dt"][3:] for row in raw(settings, "users")} == {
        "old": "2001-01-01",
        "x": "2001-01-01",
        "u": "2001-01-03",  # the first day with interactions on or after the sign-up
        "w": "2001-01-06",
        "late": "2001-01-08",
    }
    assert {row["item_id"]: row["dt"][3:] for row in raw(settings, "items")} == {
        "i": "2001-01-01",
        "j": "2001-01-01",  # interacted with before its date says that it was there
        "l": "2001-01-06",
        "m": "2001-01-08",
    }
    assert report.notes == ("1 users sign up after the log's last day; their signed_up_at was left out",)
    land(settings, Partition.parse("2001-01-08"))
    assert report.num_users == 5
    assert not list((settings.home / "quarantine").rglob("*.parquet"))
