"""Read what is known of users besides what they did: MovieLens attributes, or the simulator's profile and picks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from training.bench.shared.logs import PublicLog
from training.contracts.columns import RAW_USERS
from training.contracts.errors import MissingArtefact
from training.ingest.side_tables import age_band
from training.settings import Settings
from training.storage import PART, list_partitions

SINGLE = ("country", "language", "age_band", "gender", "occupation", "region")


@dataclass(frozen=True)
class Attributes:
    """Attributes by user, in no order.

    Attributes:
        values: User id -> attribute values "column=value", crosses included; what every model reads.
        picks: User id -> item ids picked at sign-up.
        groups: User id -> the group of popularity per group.
        content_hash: 12 hex digits of all of it.
    """

    values: Mapping[object, Sequence[str]]
    picks: Mapping[object, Sequence[object]]
    groups: Mapping[object, str]
    content_hash: str


def read_attributes(folder: Path) -> Attributes:
    """Return the attributes in a MovieLens folder: `*.user` (RecBole's 100K) or `users.dat` (1M).

    Raises:
        MissingArtefact: Neither file is there.
    """
    if found := sorted(folder.glob("*.user")):
        frame = pd.read_csv(found[0], sep="\t", dtype=str).rename(columns=lambda name: name.split(":")[0])
        frame = frame.rename(columns={"zip_code": "zip"})
    elif (folder / "users.dat").exists():
        names = ["user_id", "gender", "age", "occupation", "zip"]
        frame = pd.read_csv(folder / "users.dat", sep="::", engine="python", header=None, names=names, dtype=str)
    else:
        raise MissingArtefact(f"expected *.user or users.dat in {folder}, found neither; name a MovieLens folder")
    frame = frame.assign(age_band=age_band(frame["age"]), region=frame["zip"].str[0])
    return _attributes(frame.assign(user_id=frame["user_id"].astype(int)))


def simulated_attributes(home: Settings, log: PublicLog) -> Attributes:
    """Return the newest profile of each user of a simulated log, with onboarding categories and picks."""
    folder = home.raw_dir(RAW_USERS.name)
    parts = [pq.read_table(folder / f"dt={day}" / PART, partitioning=None) for day in list_partitions(folder)]
    frame = pd.concat([part.to_pandas() for part in parts]).drop_duplicates("user_id", keep="last")
    return _attributes(frame[frame["user_id"].isin(set(log.frame["user_id"]))])


def _attributes(frame: pd.DataFrame) -> Attributes:
    frame = frame.reset_index(drop=True)
    columns = [name for name in SINGLE if name in frame]
    singles = frame[columns].astype(object).where(frame[columns].notna(), "unknown")
    crossed = singles["gender"].astype(str) + "|" + singles["age_band"].astype(str)
    values = [[f"{name}={row[name]}" for name in columns if row[name] != "unknown"] for _, row in singles.iterrows()]
    values = [[*row, f"gender|age_band={cross}"] for row, cross in zip(values, crossed, strict=True)]
    for row, categories in zip(values, _lists(frame, "onboarding_categories"), strict=True):
        row += [f"onboarding_category={category}" for category in categories]
    users, picks = frame["user_id"].tolist(), _lists(frame, "onboarding_item_ids")
    text = "\n".join(f"{user} {value} {pick}" for user, value, pick in sorted(zip(users, values, picks, strict=True)))
    return Attributes(
        values=dict(zip(users, values, strict=True)),
        picks=dict(zip(users, picks, strict=True)),
        groups=dict(zip(users, crossed, strict=True)),
        content_hash=hashlib.sha256(text.encode()).hexdigest()[:12],
    )


def _lists(frame: pd.DataFrame, name: str) -> list[list[str]]:
    if name not in frame:
        return [[] for _ in range(len(frame))]
    return [[] if cell is None else [str(one) for one in cell] for cell in frame[name]]
