"""Read MovieLens as GroupLens ships it: 100K (`u.*`), 1M (`*.dat`), and 1M with its interactions in Parquet.

Harper and Konstan, "The MovieLens Datasets: History and Context", 2015.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pyarrow as pa

from training.contracts.errors import MissingArtefact
from training.ingest import recbole
from training.ingest.conversion import STRINGS, TIMESTAMP, convert
from training.ingest.history import History
from training.ingest.side_tables import age_band
from training.ingest.sources import read_parquet, read_separated
from training.ingest.typed_columns import typed

_GENRES = (
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|Horror|Musical|"
    "Mystery|Romance|Sci-Fi|Thriller|War|Western"
)
_GENRES_100K = tuple(_GENRES.split("|"))
_OCCUPATIONS = (
    "other|academic/educator|artist|clerical/admin|college/grad student|customer service|doctor/health care|"
    "executive/managerial|farmer|homemaker|K-12 student|lawyer|programmer|retired|sales/marketing|scientist|"
    "self-employed|technician/engineer|tradesman/craftsman|unemployed|writer"
)
_OCCUPATIONS_1M = tuple(_OCCUPATIONS.split("|"))
_USER_FILES = {
    "u.user": ("|", ("user_id", "age", "gender", "occupation", "zip")),
    "users.dat": ("::", ("user_id", "gender", "age", "occupation", "zip")),
}
_RATING_COLUMNS = ("user_id", "item_id", "event_value", "occurred_at")


def read_movielens(folder: Path) -> History:
    """Return the history in `folder`, whichever of the three layouts it has.

    Raises:
        MissingArtefact: The folder has none of `u.data`, `ratings.dat`, `interactions.parquet`.
        AttuneError: A file does not parse; the message names it.
    """
    if (folder / "u.data").exists():
        return _read_100k(folder)
    if (folder / "ratings.dat").exists() or (folder / "interactions.parquet").exists():
        return _read_1m(folder)
    raise MissingArtefact(
        f"expected u.data, ratings.dat or interactions.parquet in {folder}, found none; "
        "name the unpacked MovieLens folder, or another FORMAT"
    )


def read_sides(folder: Path) -> dict[str, pa.Table]:
    """Return users and items of the files that GroupLens ships beside the ratings, as far as they exist."""
    sides = {}
    for name, (separator, columns) in _USER_FILES.items():
        if (folder / name).exists():
            sides["users"] = _users(read_separated(folder / name, separator, columns))
    if (folder / "u.item").exists():
        names = ("item_id", "title", "released", "video", "url", *_GENRES_100K)
        sides["items"] = _items_100k(read_separated(folder / "u.item", "|", names, "latin-1").to_pandas())
    if (folder / "movies.dat").exists():
        movies = read_separated(folder / "movies.dat", "::", ("item_id", "title", "genres"), "latin-1").to_pandas()
        sides["items"] = _items(movies["item_id"], movies["title"], movies["genres"].fillna("").str.split("|"))
    return sides


def _read_100k(folder: Path) -> History:
    ratings = read_separated(folder / "u.data", "\t", _RATING_COLUMNS)
    interactions = typed(ratings, folder / "u.data", constants={"event_type": "rating"})
    sides = read_sides(folder) or recbole.read_sides(folder)
    return History(source=str(folder), interactions=interactions, **sides)


def _read_1m(folder: Path) -> History:
    path = folder / "ratings.dat"
    if path.exists():
        ratings = read_separated(path, "::", _RATING_COLUMNS)
    else:
        path = folder / "interactions.parquet"
        ratings = read_parquet(path)
        if {"user", "pos"} <= set(ratings.column_names):
            ratings = ratings.sort_by([("user", "ascending"), ("pos", "ascending")])
    names = {"user": "user_id", "item": "item_id", "rating": "event_value", "ts": "occurred_at"}
    interactions = typed(ratings, path, columns=names, constants={"event_type": "rating"})
    return History(source=str(folder), interactions=interactions, **read_sides(folder))


def _users(rows: pa.Table) -> pa.Table:
    frame = rows.to_pandas()
    codes = pd.to_numeric(frame["occupation"], errors="coerce")
    named = codes.map(dict(enumerate(_OCCUPATIONS_1M)))
    return pa.table(
        {
            "user_id": pa.array(frame["user_id"], pa.string()),
            "age_band": pa.array(age_band(frame["age"]), pa.string()),
            "gender": pa.array(frame["gender"], pa.string()),
            "occupation": pa.array(named.where(codes.notna(), frame["occupation"]), pa.string()),
        }
    )


def _items_100k(frame: pd.DataFrame) -> pa.Table:
    flags = frame[list(_GENRES_100K)].to_numpy() == "1"
    genres = pd.Series([[g for g, on in zip(_GENRES_100K, row, strict=True) if on] for row in flags])
    return _items(frame["item_id"], frame["title"], genres)


def _items(item_ids: pd.Series, titles: pd.Series, genres: pd.Series) -> pa.Table:
    years = [found.group(1) if (found := re.search(r"\((\d{4})\)\s*$", str(title))) else None for title in titles]
    kept = [[genre for genre in row if genre] for row in genres]
    released = pa.array([f"{year}-01-01" if year else None for year in years], pa.string())
    attributes = [
        [*(f"genre={genre}" for genre in row), *([f"decade={year[:3]}0s"] if year else [])]
        for row, year in zip(kept, years, strict=True)
    ]
    return pa.table(
        {
            "item_id": pa.array(item_ids, pa.string()),
            "category": pa.array([row[0] if row else None for row in kept], pa.string()),
            "subcategory": pa.array([row[1] if len(row) > 1 else None for row in kept], pa.string()),
            "title": pa.array(titles, pa.string()),
            "created_at": convert(released, "timestamp").values.cast(TIMESTAMP),
            "attributes": pa.array(attributes, STRINGS),
        }
    )
