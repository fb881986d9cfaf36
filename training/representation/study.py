"""Study the representation whole: probes, ablations, first hours, neighbours, staleness and cost, as one report.

All of it is done by holdout encoders that know nothing after the anchor, `horizon_days` before the partition.

Shape legend: U users, I items, R representation columns.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from training.arrays import Floats, Indices
from training.contracts.columns import MODALITIES, TASTE_WINDOWS_DAYS
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.data.feature_store import read_item_features
from training.data.interactions import read_interactions
from training.data.vector_columns import stack_vectors
from training.evaluation.peers.user_factors import user_factors
from training.evaluation.probe_report import compare_representations
from training.evaluation.probes import PairTask, build_pair_task
from training.evaluation.probes_first_hours import FirstHours, compare_first_hours
from training.evaluation.probes_neighbours import compare_neighbours
from training.evaluation.probes_staleness import compare_cost, compare_staleness
from training.representation.alignment import SpaceMap
from training.representation.evaluate import representations
from training.representation.fit import FittedEncoder, UserEncoderConfig, fit_encoder
from training.representation.inputs import STATIC_COLUMNS, UNKNOWN
from training.representation.item_space import ItemSpace, learn_item_space
from training.representation.rows import (
    IndexPairs,
    anchor_of,
    ensure_snapshot,
    read_pair_sides,
    read_pair_task,
    read_snapshot,
)
from training.settings import Settings
from training.storage import write_json

logger = logging.getLogger(__name__)
_BEHAVIOUR_PREFIXES = ("count_", "share_", "category_", "session_", "recency_")


def study_space(settings: Settings, partition: Partition, config: UserEncoderConfig | None = None) -> dict[str, Any]:
    """Return every probe of the recipe as of `partition`, and write it to `reports/representation/`.

    Raises:
        MissingArtefact: Nothing had arrived before the label window.
    """
    config = config or UserEncoderConfig()
    anchor = anchor_of(settings, partition, config.horizon_days)
    if anchor is None:
        raise MissingArtefact(
            f"expected interactions {config.horizon_days} days before {partition}, found none; study a later partition"
        )
    items = learn_item_space(settings, anchor, config.item_space, trial=True)
    ensure_snapshot(settings, anchor, items.item_space_id)
    frame = read_snapshot(settings, anchor, items.item_space_id)
    task = read_pair_task(settings, anchor, partition, frame, items, config.max_positives)
    encoder = fit_encoder(frame, config, settings.seed)
    ablated = ablations(frame, config, settings.seed)
    table = representations(frame, encoder) | {"raw_input": encoder.assembler.transform(frame)[0]}
    log = read_interactions(settings, until=anchor)
    interacted = _interactions(settings, anchor, frame, items)
    factors = user_factors(interacted, table["z"].shape[1], settings.seed)
    seed, vectors = settings.seed, items.vectors()
    logger.info("studying the representation as of %s on %d positives", partition, task.num_positives)
    report = {
        "partition": str(partition),
        "seven_day": compare_representations(task, table | factors | ablated, vectors, "mean_of_items", seed),
        "neighbours": {
            name: compare_neighbours(table | ablated, label, "mean_of_items", seed)
            for name, label in _labels(settings, anchor, log, frame, items).items()
        },
        "first_hours": _first_hours(settings, anchor, partition, items, encoder, config),
        "staleness": _staleness(task, frame, encoder, vectors, config, seed),
        "cost": compare_cost(task, {name: table[name] for name in ("z", "raw_input")}, vectors, seed),
    }
    write_json(report, settings.reports_dir / "representation" / f"{partition}.json")
    return report


def ablations(frame: pd.DataFrame, config: UserEncoderConfig, seed: int) -> dict[str, Floats]:
    """Return z of encoders that were trained, and read, without one kind of input."""
    kinds = {
        "z without onboarding": without_onboarding(frame),
        "z without item vectors": without_item_vectors(frame),
        "z without static": frame.assign(**dict.fromkeys(STATIC_COLUMNS, UNKNOWN)),
    }
    return {name: fit_encoder(rows, config, seed).encode(rows) for name, rows in kinds.items()}


def without_onboarding(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows as of users who skipped the first picks."""
    names = [f"onboarding_{modality}" for modality in MODALITIES]
    blank: dict[str, Any] = {name: _zeros(frame[name]) for name in names}
    return frame.assign(count_onboarding=0, **blank)


def without_item_vectors(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows with no pooled vector of behaviour or picks; counts and activity stay."""
    names = [f"taste_{modality}_{window}" for modality in MODALITIES for window in TASTE_WINDOWS_DAYS]
    blank: dict[str, Any] = {name: _zeros(frame[name]) for name in names}
    return without_onboarding(frame).assign(**blank)


def without_behaviour(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows as of users in their first hours: picks and profile, nothing done yet."""
    names = [f"taste_{modality}_{window}" for modality in MODALITIES for window in TASTE_WINDOWS_DAYS]
    columns = [str(name) for name in frame.columns]
    counted = [name for name in columns if name.startswith(_BEHAVIOUR_PREFIXES) and name != "count_onboarding"]
    blank: dict[str, Any] = {name: _zeros(frame[name]) for name in names} | dict.fromkeys(counted, 0)
    return frame.assign(**blank, tenure_days=0)


def _zeros(column: pd.Series) -> list[Floats]:
    width = len(column.iloc[0]) if len(column) else 0
    return [np.zeros(width, np.float32)] * len(column)


def _labels(
    settings: Settings, anchor: Partition, log: pd.DataFrame, frame: pd.DataFrame, items: ItemSpace
) -> dict[str, Indices]:
    """Return the label of each user that neighbours should share; -1 where there is none."""
    profile = read_item_features(settings, anchor).set_index("item_id")
    category = log["item_id"].map(profile["category"])
    favourite = category[category != UNKNOWN].groupby(log["user_id"]).agg(_most_frequent)
    picks, first_items = (frame[f"onboarding_{kind}"].map(_first) for kind in ("categories", "item_ids"))
    by_item = first_items.map(profile["category"]).fillna(UNKNOWN)
    return {
        "same favourite category": _codes(frame["user_id"].map(favourite)),
        "same country": _codes(frame["country"]),
        "same onboarding": _codes(picks.where(picks != UNKNOWN, by_item)),
    }


def _first(values: Any) -> str:
    return str(values[0]) if len(values) else UNKNOWN


def _most_frequent(values: pd.Series) -> str:
    return str(values.value_counts().sort_index().idxmax())


def _codes(values: pd.Series) -> Indices:
    codes, _ = pd.factorize(values.where(values != UNKNOWN), sort=True)
    return codes.astype(np.int64)


def _first_hours(
    settings: Settings,
    anchor: Partition,
    partition: Partition,
    items: ItemSpace,
    encoder: FittedEncoder,
    config: UserEncoderConfig,
) -> dict[str, Any]:
    """Evaluate on users who first appear after the anchor, known by picks and profile alone."""
    ensure_snapshot(settings, partition, items.item_space_id)
    frame = read_snapshot(settings, partition, items.item_space_id)
    log = read_interactions(settings, partition, ("user_id", "arrived_at"))
    first = frame["user_id"].map(log.groupby("user_id")["arrived_at"].min())
    is_new = (first >= anchor.as_of).to_numpy()
    picked = (frame["count_onboarding"] > 0).to_numpy()
    past, future = read_pair_sides(settings, anchor, partition, frame, items)
    old, new = (
        build_pair_task(past, _of_users(future, chosen), len(items.item_ids), settings.seed, config.max_positives)
        for chosen in (~is_new, is_new & picked)
    )
    hidden = without_behaviour(frame)
    popularity = np.bincount(past[1], minlength=len(items.item_ids)).astype(np.float32)
    picks = np.hstack([stack_vectors(frame[f"onboarding_{modality}"]) for modality in MODALITIES])
    table = {
        "z onboarded": encoder.encode(hidden),
        "z not onboarded": encoder.encode(without_onboarding(hidden)),
        "mean of picks": picks.astype(np.float32),
    }
    return compare_first_hours(FirstHours(old, new, popularity), table, items.vectors(), settings.seed)


def _interactions(settings: Settings, anchor: Partition, frame: pd.DataFrame, items: ItemSpace) -> sp.csr_matrix:
    """Return ones [U, I] where a user had interacted with an item by the anchor."""
    (user_idx, item_idx), _ = read_pair_sides(settings, anchor, anchor, frame, items)
    ones = np.ones(len(user_idx), np.float32)
    found = sp.csr_matrix((ones, (user_idx, item_idx)), (len(frame), len(items.item_ids)))
    found.data[:] = 1  # duplicates were summed
    return found


def _of_users(pairs: IndexPairs, chosen_U: Sequence[bool] | Any) -> IndexPairs:
    kept = np.asarray(chosen_U)[pairs[0]]
    return pairs[0][kept], pairs[1][kept]


def _staleness(
    task: PairTask, frame: pd.DataFrame, encoder: FittedEncoder, items: Floats, config: UserEncoderConfig, seed: int
) -> Mapping[str, Any]:
    """A consumer of an older space, given the newer one: retrained cold with another seed, and warm."""
    cold = fit_encoder(frame, config, seed + 1)
    gentle = replace(config, training=replace(config.training, max_epochs=10))
    warm = fit_encoder(frame, gentle, seed + 2, encoder.trained.model.state_dict())
    old, new, continued = (one.encode(frame) for one in (encoder, cold, warm))
    read_as = {
        "new vectors, no map": new,
        "new vectors, mapped": SpaceMap.learn(new, old).apply(new),
        "warm-started vectors, no map": continued,
        "warm-started vectors, mapped": SpaceMap.learn(continued, old).apply(continued),
    }
    return compare_staleness(task, old, read_as, new, items, seed)
