"""Each shipped layout on a few rows of our own that are written as the data set is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from training.contracts.errors import MissingArtefact
from training.ingest.import_report import ImportReport
from training.ingest.importers import import_logs
from training.ingest.layout_maps import LAYOUTS, choose_layout, layout_maps
from training.settings import Settings

PLAYS = "2009-05-04T23:08:57Z"


def raw(settings: Settings, table: str = "interactions") -> list[dict[str, Any]]:
    paths = sorted(settings.raw_dir(table).rglob("*.parquet"))
    return [row for path in paths for row in pq.ParquetFile(path).read().to_pylist()]


def imported(settings: Settings, logs: Path, layout: str, files: dict[str, str]) -> ImportReport:
    for name, text in files.items():
        (logs / name).write_text(text, encoding="utf-8")
    return import_logs(settings, logs, layout)


def triples(settings: Settings) -> list[tuple[str, str, str]]:
    return [(row["user_id"], row["item_id"], row["event_type"]) for row in raw(settings)]


def lines(*objects: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in objects)


def test_every_shipped_layout_is_a_valid_map() -> None:
    assert {"movielens", "recbole", "amazon", "retailrocket", "hm", "lastfm", "taobao", "yelp", "rees46"} == set(
        LAYOUTS
    )
    assert all(layout_maps(name) for name in LAYOUTS)


def test_a_folder_without_the_files_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact, match=r"expected UserBehavior\.csv in .*, found none"):
        choose_layout("taobao", tmp_path)


def test_movielens_csv(settings: Settings, logs: Path) -> None:
    files = {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n",
        "movies.csv": 'movieId,title,genres\n2,"Jumanji, a game (1995)",Adventure|Children\n3,X,(no genres listed)\n',
        "tags.csv": "userId,movieId,tag,timestamp\n1,2,fun,1112486027\n",
    }
    report = imported(settings, logs, "movielens", files)
    assert triples(settings) == [("1", "2", "rating")]
    first, second = raw(settings, "items")
    assert (first["title"], first["category"], first["subcategory"]) == (
        "Jumanji, a game (1995)",
        "Adventure",
        "Children",
    )
    assert first["attributes"] == ["genre=Adventure", "genre=Children", "decade=1990s"]
    assert (second["category"], second["attributes"]) == (None, [])
    assert report.unread_files == ("tags.csv",)


def test_amazon_2014_and_2018_json(settings: Settings, logs: Path) -> None:
    review = {
        "reviewerID": "A1",
        "asin": "0000013714",
        "overall": 4.0,
        "unixReviewTime": 1369699200,
        "reviewText": "a\nb",
    }
    meta = {"asin": "0000013714", "title": "Hymns", "main_cat": "Books", "category": ["Books", "Music"], "brand": "B"}
    imported(settings, logs, "amazon", {"Books_5.json": lines(review), "meta_Books.json": lines(meta)})
    (row,), (item,) = raw(settings), raw(settings, "items")
    assert (row["user_id"], row["item_id"], row["event_type"], row["event_value"]) == (
        "A1",
        "0000013714",
        "rating",
        4.0,
    )
    assert (item["category"], item["attributes"]) == ("Books", ["category=Books", "category=Music", "brand=B"])


def test_amazon_2023_json(settings: Settings, logs: Path) -> None:
    review = {
        "rating": 5.0,
        "title": "t",
        "asin": "B1",
        "parent_asin": "B0",
        "user_id": "AE",
        "timestamp": 1588687728923,
    }
    meta = {"parent_asin": "B0", "main_category": "Beauty", "title": "Soap", "store": "S", "categories": []}
    imported(settings, logs, "amazon", {"All_Beauty.jsonl": lines(review), "meta_All_Beauty.jsonl": lines(meta)})
    (row,), (item,) = raw(settings), raw(settings, "items")
    assert (row["user_id"], row["item_id"], row["occurred_at"].year) == ("AE", "B0", 2020)
    assert (item["title"], item["category"], item["attributes"]) == ("Soap", "Beauty", ["store=S"])


def test_amazon_2023_ratings_with_a_header(settings: Settings, logs: Path) -> None:
    imported(
        settings, logs, "amazon", {"B.csv": "user_id,parent_asin,rating,timestamp\nAE22,B00YQ6X8EO,5.0,1588687728923\n"}
    )
    assert triples(settings) == [("AE22", "B00YQ6X8EO", "rating")]


def test_retailrocket(settings: Settings, logs: Path) -> None:
    head = "timestamp,visitorid,event,itemid,transactionid\n"
    events = (
        "1433221332117,257597,view,355908,\n1433224214164,992329,addtocart,248676,\n1433221999827,1,transaction,7,4\n"
    )
    properties = "timestamp,itemid,property,value\n1435460400000,7,categoryid,1338\n1431226800000,7,categoryid,1200\n"
    properties += "1433041200000,7,available,1\n"
    files = {
        "events.csv": head + events,
        "item_properties_part1.csv": properties,
        "category_tree.csv": "categoryid,parentid\n",
    }
    report = imported(settings, logs, "retailrocket", files)
    assert sorted(triples(settings)) == [
        ("1", "7", "purchase"),
        ("257597", "355908", "view"),
        ("992329", "248676", "save"),
    ]
    assert [(row["item_id"], row["category"]) for row in raw(settings, "items")] == [("7", "1200")]
    assert report.files[-1]["dropped"] == {"where": 1, "first_of": 1}
    assert report.unread_files == ("category_tree.csv",)


def test_hm(settings: Settings, logs: Path) -> None:
    files = {
        "transactions_train.csv": "t_dat,customer_id,article_id,price,sales_channel_id\n"
        "2018-09-20,00a,0663713001,0.05,2\n",
        "customers.csv": "customer_id,FN,Active,club_member_status,fashion_news_frequency,age,postal_code\n"
        "00a,,,ACTIVE,NONE,24,x\n",
        "articles.csv": "article_id,product_code,prod_name,product_type_name,product_group_name,colour_group_name,"
        "department_name,section_name\n0663713001,0663713,Strap top,Vest top,Garment Upper body,Black,Jersey,Basics\n",
    }
    imported(settings, logs, "hm", files)
    assert triples(settings) == [("00a", "0663713001", "purchase")]
    (user,), (item,) = raw(settings, "users"), raw(settings, "items")
    assert user["age_band"] == "18-24"
    assert (item["category"], item["subcategory"]) == ("Garment Upper body", "Vest top")
    assert "section_name=Basics" in item["attributes"]


def test_lastfm_1k(settings: Settings, logs: Path) -> None:
    files = {
        "userid-timestamp-artid-artname-traid-traname.tsv": f'u1\t{PLAYS}\ta1\tDeep "Dish\tt1\tFuck Me\n'
        f"u1\t{PLAYS}\t\tNobody\t\tSong\n",
        "userid-profile.tsv": "#id\tgender\tage\tcountry\tregistered\nu1\tm\t\tJapan\tAug 13, 2006\n",
    }
    imported(settings, logs, "lastfm", files)
    assert triples(settings) == [("u1", "t1", "play"), ("u1", "Nobody - Song", "play")]
    (user,) = raw(settings, "users")
    assert (user["country"], user["signed_up_at"].date().isoformat()) == ("Japan", "2006-08-13")


def test_lastfm_360k(settings: Settings, logs: Path) -> None:
    files = {
        "usersha1-artmbid-artname-plays.tsv": "00c\t3bd\tbetty blowtorch\t2137\n00c\t\tdie Ärzte\t1099\n",
        "usersha1-profile.tsv": "00c\tf\t\tGermany\tFeb 1, 2007\n",
    }
    imported(settings, logs, "lastfm", files)
    assert triples(settings) == [("00c", "3bd", "play"), ("00c", "die Ärzte", "play")]
    assert {row["event_value"] for row in raw(settings)} == {2137.0, 1099.0}


def test_taobao(settings: Settings, logs: Path) -> None:
    text = "".join(f"1,{n},2520377,{kind},{1511544070 + n}\n" for n, kind in enumerate(("pv", "cart", "fav", "buy")))
    imported(settings, logs, "taobao", {"UserBehavior.csv": text})
    assert triples(settings) == [("1", "0", "view"), ("1", "1", "save"), ("1", "2", "like"), ("1", "3", "purchase")]


def test_yelp(settings: Settings, logs: Path) -> None:
    files = {
        "yelp_academic_dataset_review.json": lines(
            {
                "review_id": "r",
                "user_id": "u",
                "business_id": "b",
                "stars": 3.0,
                "text": "x",
                "date": "2018-07-07 22:09:11",
            }
        ),
        "yelp_academic_dataset_business.json": lines(
            {
                "business_id": "b",
                "name": "Cafe",
                "city": "Philadelphia",
                "state": "PA",
                "categories": "Coffee & Tea, Food",
            }
        ),
        "yelp_academic_dataset_user.json": lines({"user_id": "u", "name": "W", "yelping_since": "2007-01-25 16:47:26"}),
    }
    imported(settings, logs, "yelp", files)
    (row,), (item,), (user,) = raw(settings), raw(settings, "items"), raw(settings, "users")
    assert (row["event_id"], row["event_type"], row["event_value"]) == ("r", "rating", 3.0)
    assert (item["title"], item["category"], item["subcategory"]) == ("Cafe", "Coffee & Tea", "Food")
    assert user["signed_up_at"].year == 2007


def test_rees46(settings: Settings, logs: Path) -> None:
    head = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
    october = "2019-10-01 00:00:00 UTC,view,44600062,2103,,shiseido,35.79,541312140,72d7\n"
    november = "2019-11-01 00:00:01 UTC,cart,5,1,,a,1,2,s\n2019-11-01 00:00:02 UTC,remove_from_cart,5,1,,a,1,2,s\n"
    report = imported(settings, logs, "rees46", {"2019-Oct.csv": head + october, "2019-Nov.csv": head + november})
    assert sorted(triples(settings)) == [("2", "5", "save"), ("541312140", "44600062", "view")]
    assert [file["read"] for file in report.files] == [2, 1]
    assert report.event_types["remove_from_cart"]["dropped"] == 1
