"""The consumer `matching`: one dual encoder that recommends items to users and finds users for items."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

from training.consumers.base import ConsumerSides, TrainedConsumer, read_ref
from training.consumers.matching.increment import continue_and_judge, halfway
from training.consumers.matching.model import MatchingModel
from training.consumers.matching.search import MatchingConfig, choice_of, search_and_train, train_matching
from training.consumers.matching.trial import by_which
from training.consumers.two_sided import sides_of
from training.contracts.partitions import Partition
from training.ranking.assemble import build_dataset, read_dataset, with_earlier
from training.ranking.checks import checks_of
from training.settings import Settings

__all__ = ["MatchingConfig", "MatchingConsumer", "MatchingModel", "build_dataset", "train_matching"]

logger = logging.getLogger(__name__)
NAME = "matching"


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
        """Return the model trained on everything up to `partition`; see `consumers.base.Consumer`."""
        data = build_dataset(settings, partition, space_id)
        config = replace(self.config, seed=settings.seed)
        live = MatchingModel.load(champion) if champion else None
        since = int(Partition.parse(read_ref(champion).partition).as_of.timestamp()) if champion else data.as_of
        if live is not None and self._may_continue(live, space_id) and since < data.as_of:
            logger.info(
                "matching: one pass over what is new since %s", read_ref(champion).partition if champion else ""
            )
            data = with_earlier(settings, data, halfway(data, since).known.as_of)
            trained = continue_and_judge(data, config, live, since)
        else:
            data = with_earlier(settings, data, data.pairs().instant_at(1 - config.validation_share))
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
        """Return both sides of a stored model; see `consumers.base.Consumer`."""
        model = MatchingModel.load(folder)
        return sides_of(model, read_dataset(settings, partition, model.space_id))


CONSUMER = MatchingConsumer()
