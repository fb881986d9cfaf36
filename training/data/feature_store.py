"""Read features through Feast: point-in-time for training, the newest complete snapshot online.

`feature_repo/` declares; this module renders its settings, applies it, and moves snapshots online. Importing
Feast takes seconds, so it happens inside the functions.
"""

from __future__ import annotations

import copy
import importlib
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from training.contracts.columns import DBT_FEATURES, EVENT_TIMESTAMP, POOLED_FEATURES, USER_EMBEDDING, USER_PROFILE
from training.contracts.errors import AttuneError, MissingArtefact
from training.contracts.partitions import Partition
from training.data.derived_lock import reads_derived
from training.data.environment import environment
from training.data.online.blocks import ONLINE_TABLES
from training.data.online.erased import WithoutErased
from training.data.online.guard import WHOLE_VIEW, serving
from training.data.online.writer import OnlineWriter, online_writer
from training.data.vector_columns import as_frame
from training.settings import REPO_ROOT, Settings
from training.storage import PART, open_parquet, write_json

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

logger = logging.getLogger(__name__)
FEATURE_REPO = REPO_ROOT / "feature_repo"
_DECLARATIONS = ("entities", "data_sources", "feature_views", "feature_services")
ONLINE_VIEWS = tuple(ONLINE_TABLES)
"""Every view; `materialise` takes them in this order where they are named."""
SNAPSHOT_VIEWS = (*DBT_FEATURES, *POOLED_FEATURES)
"""The views that follow a partition's features; vectors follow what is published, which `serving_export` writes."""
_BUILD = "transform_partition"
_JOBS = {**dict.fromkeys(POOLED_FEATURES, "pool_taste"), USER_EMBEDDING.name: "encode_partition"}
"""The job that writes a view's snapshots, where it is not `_BUILD`."""
_USERS_AT_ONCE = 100_000
"""Users in one point-in-time join: what Feast holds on the way is several times the rows."""
ROWS_AT_ONCE = 5_000
"""Feast's own writer needs some 27 kB for each row of `user_taste` while it writes it."""


def feature_store(settings: Settings) -> FeatureStore:
    """Return the Feast store of the home: feature_store.yaml with the registry and online store of the settings.

    The registry holds the home's absolute paths: in a home that was copied or moved it is declared anew.
    """
    if _declared_elsewhere(settings):
        apply(settings)
    return _open_store(settings)


def apply(settings: Settings) -> None:
    """Register everything that `feature_repo/` declares; sources point into the home and may be empty yet."""
    from feast import Entity, FeatureService, FeatureView
    from feast.data_source import DataSource

    kinds = (DataSource, Entity, FeatureView, FeatureService)
    declared = {id(value): value for value in _declarations(settings) if isinstance(value, kinds)}
    _open_store(settings).apply(list(declared.values()))
    write_json({"home": str(settings.home)}, _declared_path(settings))


@reads_derived
def read_user_features(
    settings: Settings,
    partition: Partition,
    service: str,
    item_space_id: str,
    user_ids: Sequence[str] | None = None,
    space_id: str | None = None,
) -> pd.DataFrame:
    """Return the features of a service as they were known at the partition's `as_of`, one row per user.

    Args:
        settings: Names the home.
        partition: Its snapshots must exist; an older one is never read in their place.
        service: Name of a Feast feature service, e.g. "user_encoder_v1".
        item_space_id: Whose pooled taste and onboarding vectors are read.
        user_ids: External ids, kept in order; None takes every known user, sorted.
        space_id: Whose embeddings are read by a service that holds them.

    Returns:
        Columns user_id, event_timestamp (UTC), then the service's features; see `as_frame` for lists.

    Raises:
        MissingArtefact: The partition lacks the snapshot of a view; the message names the job to run.
    """
    users = _known_users(settings, partition) if user_ids is None else list(user_ids)
    keys = {"item_space_id": item_space_id} | ({} if space_id is None else {"space_id": space_id})
    store = feature_store(settings)
    views = [_of_partition(view, partition, keys) for view in _views(store, service)]
    starts = range(0, max(len(users), 1), _USERS_AT_ONCE)
    parts = [_join(store, views, users[start : start + _USERS_AT_ONCE], keys, partition) for start in starts]
    return as_frame(pa.concat_tables(parts))


def _views(store: FeatureStore, service: str) -> list[FeatureView]:
    """Return the views of a service as registered, each with the features that the service takes of it."""
    return [
        store.get_feature_view(projection.name).with_projection(projection)
        for projection in store.get_feature_service(service).feature_view_projections
    ]


def _of_partition(view: FeatureView, partition: Partition, keys: Mapping[str, str]) -> FeatureView:
    """Return a view of one partition's snapshot alone: a glob over days would open and sort every day that is kept,
    and pass an older day's rows off as the partition's where that has none.

    Raises:
        MissingArtefact: There is no such snapshot.
    """
    path = view.batch_source.path.replace("dt=*", f"dt={partition}")
    for name, value in keys.items():
        path = path.replace(f"{os.sep}{name.removesuffix('_id')}=*", f"{os.sep}{name.removesuffix('_id')}={value}")
    if not Path(path).exists():
        job = _JOBS.get(view.name, _BUILD)
        raise MissingArtefact(
            f"expected a snapshot of {view.name} for {partition}, found none at {path}; run {job} for {partition}"
        )
    named = copy.copy(view)
    named.batch_source = copy.deepcopy(view.batch_source)
    named.batch_source.file_options.uri = path
    return named


def _join(
    store: FeatureStore, views: Sequence[FeatureView], users: Sequence[str], keys: Mapping[str, str], at: Partition
) -> pa.Table:
    """Return Feast's point-in-time join for some users, in their order, without the keys."""
    from feast.infra.offline_stores.offline_utils import get_offline_store_from_config

    refs = [f"{view.projection.name_to_use()}:{f.name}" for view in views for f in view.projection.features]
    rows = pd.DataFrame({"user_id": users, **keys, EVENT_TIMESTAMP: at.as_of})
    offline = get_offline_store_from_config(store.config.offline_store)
    job = offline.get_historical_features(store.config, views, refs, rows, store.registry, store.project)
    found = job.to_arrow()
    places = pc.index_in(pa.array(users, pa.string()), value_set=found["user_id"].combine_chunks())
    columns = ["user_id", *(name for name in found.column_names if name not in {"user_id", *keys})]
    return found.select(columns).take(places)


def read_item_features(settings: Settings, partition: Partition) -> pd.DataFrame:
    """Return profile and popularity of every item known as of the partition, sorted by item_id."""
    profile = _read_snapshot(settings, "item_profile", partition)
    popularity = _read_snapshot(settings, "item_popularity", partition)
    return profile.merge(popularity, on=["item_id", EVENT_TIMESTAMP], how="left", validate="one_to_one")


@reads_derived
def materialise(settings: Settings, partition: Partition, views: Sequence[str] | None = None) -> dict[str, int]:
    """Serve the partition's snapshots online, but never one older than what a view already serves.

    Whom a snapshot no longer holds is served no more: snapshots are complete.

    Args:
        settings: Names the home and the online store.
        partition: Whose snapshots are served.
        views: Names of feature views; None takes every one of `SNAPSHOT_VIEWS` that has a snapshot of the partition.

    Returns:
        Rows written per view; a view whose online snapshot is newer is noted in the log and left out.

    Raises:
        MissingArtefact: A view was asked for by name and has no snapshot of the partition.
    """
    writer = writer_of(settings)
    written: dict[str, int] = {}
    for view in SNAPSHOT_VIEWS if views is None else views:
        files = snapshot_files(settings, view, partition)
        if not files and views is not None:
            raise MissingArtefact(
                f"expected a snapshot of {view} for {partition}, found none below {settings.home}; "
                f"run the job that writes it for {partition}"
            )
        for slot, path in files.items():
            with serving(settings, view, slot, partition) as needed:
                if not needed:
                    logger.info("left %s %s as it is served: newer than %s", view, slot, partition)
                    continue
                written[view] = written.get(view, 0) + writer.write(view, snapshot_blocks(path))
                removed = writer.keep_only(view, slot, snapshot_blocks(path, ONLINE_TABLES[view].key))
                if removed:
                    logger.info(
                        "removed %d of %s %s from online: not in the snapshot of %s", removed, view, slot, partition
                    )
    return written


def read_online(settings: Settings, service: str, entities: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """Return what is served for each entity row, with `<feature>__ts`, the as_of of the snapshot that it is from.

    Feast's ttl does not apply online: callers compare the timestamp. Unknown entities give nulls.

    Args:
        settings: Names the online store.
        service: Name of a Feast feature service.
        entities: One mapping per row of every join key that the service needs.
    """
    store = feature_store(settings)
    answer = store.get_online_features(store.get_feature_service(service), [dict(row) for row in entities])
    frame: pd.DataFrame = answer.to_df(include_event_timestamps=True)
    return frame


def snapshot_files(settings: Settings, view: str, partition: Partition) -> dict[str, Path]:
    """Return the view's snapshot files of a partition by slot: one, or one per (item) space."""
    if view in DBT_FEATURES:
        path = settings.features_dir(view, partition) / PART
        return {WHOLE_VIEW: path} if path.exists() else {}
    if view in POOLED_FEATURES:
        folders = (settings.home / "features" / view).glob("item_space=*")
    elif view == USER_EMBEDDING.name:
        folders = (settings.home / "embeddings").glob("space=*")
    else:
        raise AttuneError(f"expected a feature view among {', '.join(ONLINE_VIEWS)}, found {view!r}; name one of them")
    paths = {folder.name.partition("=")[2]: folder / f"dt={partition}" / PART for folder in sorted(folders)}
    return {slot: path for slot, path in paths.items() if path.exists()}


def writer_of(settings: Settings) -> OnlineWriter:
    """Return what writes rows to the home's online store and takes them away."""
    writer = online_writer(_configuration(settings), settings.online_writer, lambda: feature_store(settings))
    return WithoutErased(writer, settings.published_dir)


def snapshot_blocks(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield a snapshot, or some columns of it, some rows at a time: it is never in memory as a whole."""
    with open_parquet(path) as file:
        yield from file.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns)


def _configuration(settings: Settings) -> dict[str, Any]:
    """Return feature_store.yaml with the registry and online store of the settings."""
    declared: dict[str, Any] = yaml.safe_load((FEATURE_REPO / "feature_store.yaml").read_text(encoding="utf-8"))
    declared["registry"]["path"] = settings.registry_url
    declared["online_store"] = _online_store(settings)
    return declared


def _open_store(settings: Settings) -> FeatureStore:
    from feast import FeatureStore, RepoConfig

    (settings.home / "feast").mkdir(parents=True, exist_ok=True)
    return FeatureStore(config=RepoConfig(**_configuration(settings), repo_path=FEATURE_REPO))


def _declared_elsewhere(settings: Settings) -> bool:
    path = _declared_path(settings)
    if path.exists():
        return bool(json.loads(path.read_text(encoding="utf-8"))["home"] != str(settings.home))
    return (settings.home / "feast" / "registry.db").exists()


def _declared_path(settings: Settings) -> Path:
    return settings.home / "feast" / "declared.json"


def _online_store(settings: Settings) -> dict[str, Any]:
    if settings.online_store == "sqlite":
        return {"type": "sqlite", "path": str(settings.home / "feast" / "online.db")}
    if not settings.online_store.startswith("redis://") or settings.online_store_name == "redis://":
        raise AttuneError(
            f"expected ATTUNE_ONLINE_STORE as sqlite or redis://host:port, found {settings.online_store_name!r}"
        )
    from training.data.online.redis_writer import connection_string

    # Feast would skip a row of the same as_of, and so never serve a partition that was built again; our guard
    # already keeps older partitions out.
    return {"type": "redis", "connection_string": connection_string(settings.online_store), "skip_dedup": True}


def _declarations(settings: Settings) -> Iterator[Any]:
    """Yield what the repo's modules define; they import each other as siblings, as under `feast apply`."""
    with environment({"ATTUNE_HOME": str(settings.home)}), _importable(FEATURE_REPO):
        for name in _DECLARATIONS:
            yield from vars(importlib.import_module(name)).values()


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let `folder` be imported from, and forget its modules afterwards: they hold one home's paths."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in _DECLARATIONS:
            sys.modules.pop(name, None)


def _known_users(settings: Settings, partition: Partition) -> list[str]:
    return [str(user) for user in _read_snapshot(settings, USER_PROFILE.name, partition)["user_id"]]


def _read_snapshot(settings: Settings, table: str, partition: Partition) -> pd.DataFrame:
    path = settings.features_dir(table, partition) / PART
    if not path.exists():
        raise MissingArtefact(
            f"expected a snapshot of {table} for {partition}, found none at {path}; run {_BUILD} for {partition}"
        )
    frame: pd.DataFrame = pq.read_table(path, partitioning=None).to_pandas()
    return frame
