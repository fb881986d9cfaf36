"""The consumer `matching`: one dual encoder that recommends items to users and finds users for items."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from training.contracts.artefacts import Check
from training.contracts.columns import USER_PROFILE
from training.contracts.partitions import Partition
from training.data.feature_store import read_item_features
from training.data.interactions import epoch_seconds, read_log, values_of
from training.data.matching_set import EarlierVectors, MatchingData
from training.data.vocabulary import Vocabulary
from training.evaluation.gate import no_worse
from training.models.matching import MatchingModel
from training.recipes.consumer import ConsumerSides, TrainedConsumer, read_ref
from training.search.matching import CHAMPION, MatchingConfig, choice_of, search_and_train, train_matching
from training.search.matching_evidence import Evidence
from training.search.matching_increment import continue_and_judge
from training.search.matching_trial import by_which
from training.settings import Settings
from training.spaces.item_space import load_item_space
from training.spaces.user_space import UserSpace, encode_partition
from training.storage import list_partitions

__all__ = ["MatchingConfig", "MatchingConsumer", "MatchingModel", "build_dataset", "train_matching"]

_log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float32]
NAME = "matching"
CHAMPION_MARGIN = 0.03
"""Share of the champion's NDCG that a challenger may lack: many paired units make the smallest loss significant, and
consumers that never moved would hold the space back."""


@dataclass(frozen=True, kw_only=True)
class MatchingConsumer:
    """Train `matching` on a space, and judge it by full ranking on the newest part of its training period.

    On the space of the model in service that model is continued by one pass over what has arrived since; another
    space, objective or encoder takes a full pass with its own search.

    Attributes:
        config: What is fixed and what is searched.
        continues: Whether a model may be continued at all.
        name: As the ledger and the jobs know it.
    """

    config: MatchingConfig = field(default_factory=MatchingConfig)
    continues: bool = True
    name: str = NAME

    def with_objective(self, objective: str | None, loss: str | None) -> MatchingConsumer:
        """Return the recipe with another training objective, and its loss; see `MatchingConfig.with_objective`."""
        return replace(self, config=self.config.with_objective(objective, loss))

    def train(self, settings: Settings, partition: Partition, space_id: str, champion: Path | None) -> TrainedConsumer:
        """Return the model trained on everything up to `partition`; see `recipes.consumer.Consumer`."""
        data = build_dataset(settings, partition, space_id, validate=True)
        config = replace(self.config, seed=settings.seed)
        live = MatchingModel.load(champion) if champion else None
        since = int(Partition.parse(read_ref(champion).partition).as_of.timestamp()) if champion else data.as_of
        if live is not None and self._may_continue(live, space_id) and since < data.as_of:
            _log.info("matching: one pass over what is new since %s", read_ref(champion).partition if champion else "")
            trained = continue_and_judge(data, config, live, since)
        else:
            trained = search_and_train(data, config, choice_of(live) if live else None)
        return TrainedConsumer(
            model=trained.model,
            checks=checks_of(trained.evidence, settings.seed),
            metrics=trained.evidence.metrics(),
            params=trained.model.facts,
            curves=trained.curves,
        )

    def _may_continue(self, live: MatchingModel, space_id: str) -> bool:
        choice, learns_by = choice_of(live), by_which(self.config.training)
        same = all(getattr(choice, name) == value for name, value in learns_by.items())
        return self.continues and live.space_id == space_id and same

    def vectors(self, settings: Settings, folder: Path, partition: Partition) -> ConsumerSides:
        """Return both sides of a stored model; see `recipes.consumer.Consumer`."""
        model = MatchingModel.load(folder)
        return sides_of(model, build_dataset(settings, partition, model.space_id))


class TwoSidedModel(Protocol):
    """A trained model of one space that turns a data set into vectors."""

    @property
    def space_id(self) -> str:
        """The space whose vectors it reads."""
        ...

    def user_vectors(self, data: MatchingData) -> Floats:
        """Return float32[U, D], or float32[U, K, D], row by row of `data.users`."""
        ...

    def item_vectors(self, data: MatchingData | None = None) -> Floats:
        """Return float32[I, D], row by row of `data.items`."""
        ...


def sides_of(model: TwoSidedModel, data: MatchingData) -> ConsumerSides:
    """Return both sides of a model on a data set.

    Raises:
        SpaceMismatch: The data holds vectors of another space than the model reads.
    """
    return ConsumerSides(
        space_id=model.space_id,
        users=data.users,
        items=data.items,
        user_vectors=model.user_vectors(data),
        item_vectors_ID=model.item_vectors(data),
        user_idx=data.user_idx,
        item_idx=data.item_idx,
    )


def checks_of(evidence: Evidence, seed: int) -> list[Check]:
    """Return the gate's checks: finite vectors, both tasks against their baseline, and against the champion.

    Without held-out rows there is nothing to compare: the comparison is not measured, and says so.
    """
    checks = [
        Check(
            name="finite vectors",
            passed=evidence.finite,
            observed="all finite" if evidence.finite else "some not finite",
            allowed="every value finite",
        )
    ]
    if not evidence.scores:
        why = "too few held-out pairs of known users and items to compare on"
        checks.append(Check.not_measured("NDCG@20 against popularity and activity", why, "no worse than that"))
    for rival in evidence.rivals:
        for task, baseline in evidence.compared_with(rival):
            margin = CHAMPION_MARGIN if rival == CHAMPION else 0.0
            checks.append(no_worse(f"{task} NDCG@20 against {rival}", evidence.own(task), baseline, seed, margin))
    return checks


def build_dataset(settings: Settings, partition: Partition, space_id: str, *, validate: bool = False) -> MatchingData:
    """Return what `matching` knows as of a partition: pairs, users' vectors of one space, item vectors.

    Args:
        settings: Home.
        partition: The newest arrival day that may be known.
        space_id: The space of the vectors.
        validate: Whether to add the vectors of an earlier partition to validate on, where one is stored.

    Raises:
        MissingArtefact: The space, or the features of the partition, are not there.
    """
    space = UserSpace.load(settings, space_id)
    user_ids, z_UZ = encode_partition(settings, space_id, partition)
    log = read_log(settings, partition, ("user_id", "item_id", "occurred_at"))
    item_ids = [*read_item_features(settings, partition)["item_id"], *values_of(log["item_id"]).to_pylist()]
    users = Vocabulary([*user_ids, *values_of(log["user_id"]).to_pylist()], "user")
    items = Vocabulary(item_ids, "item")
    held = load_item_space(settings, space.ref.item_space_id)
    data = MatchingData(
        users=users,
        items=items,
        user_idx=users.encode(log["user_id"]),
        item_idx=items.encode(log["item_id"]),
        occurred_at=epoch_seconds(log["occurred_at"]),
        z_UZ=_aligned(users, user_ids, z_UZ),
        item_vectors_IE=_aligned(items, held.item_ids, held.vectors()),
        as_of=int(partition.as_of.timestamp()),
        space_id=space_id,
    )
    return replace(data, earlier=_earlier(settings, space, data)) if validate else data


def _earlier(settings: Settings, space: UserSpace, data: MatchingData) -> EarlierVectors | None:
    """Return the vectors of the newest stored partition that ends before the validation cut."""
    if not len(data.occurred_at):
        return None
    cut = data.pairs().instant_at(0.9)
    folder = settings.home / "features" / USER_PROFILE.name
    days = [day for day in list_partitions(folder) if day.as_of.timestamp() <= cut] if folder.is_dir() else []
    if not days:
        return None
    user_ids, z_UZ = encode_partition(settings, space.ref.space_id, days[-1])
    return EarlierVectors(as_of=int(days[-1].as_of.timestamp()), z_UZ=_aligned(data.users, user_ids, z_UZ))


def _aligned(vocabulary: Vocabulary, ids: list[str] | tuple[str, ...], vectors: Floats) -> Floats:
    rows = vocabulary.encode(ids, unknown="ignore")
    aligned = np.zeros((len(vocabulary), vectors.shape[1]), np.float32)
    aligned[rows[rows >= 0]] = vectors[rows >= 0]
    return aligned


CONSUMER = MatchingConsumer()
