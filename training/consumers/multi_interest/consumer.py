"""The consumer `multi_interest`: several vectors of a user, so that each interest finds its own items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from training.consumers.base import ConsumerSides, NotApplicable, TrainedConsumer
from training.consumers.multi_interest.model import MultiInterestModel
from training.consumers.multi_interest.search import (
    MultiInterestSearchConfig,
    TrainedMultiInterest,
    interest_choice_of,
    search_and_train_interests,
)
from training.consumers.two_sided import sides_of
from training.contracts.artefacts import Check
from training.contracts.partitions import Partition
from training.data.pair_log import PairLog
from training.ranking.assemble import build_dataset, read_dataset
from training.ranking.checks import checks_of
from training.sampler_search.choice import chosen_sampler
from training.samplers.candidates import POPULARITY_POWERS
from training.settings import Settings
from training.tracking.pictures import draw_curves

__all__ = ["CONSUMER", "MultiInterestConsumer", "MultiInterestModel", "MultiInterestSearchConfig"]

NAME = "multi_interest"
LEAST_WIN_SHARE = 0.1
"""Of an equal share, below which a tower counts as dead: with four towers, one that wins fewer than 2.5 % of pairs."""

LEAST_USERS = 20
"""Users with two different items; below, a tower without a user of its own is no fault of the training."""


@dataclass(frozen=True, kw_only=True)
class MultiInterestConsumer:
    """Train `multi_interest` on a space, and judge it by full ranking on the newest tenth of its training period."""

    config: MultiInterestSearchConfig = field(default_factory=MultiInterestSearchConfig)
    name: str = NAME

    def train(
        self, settings: Settings, partition: Partition, space_id: str, champion: Path | None
    ) -> TrainedConsumer | NotApplicable:
        """Return the model trained on everything up to `partition`; see `consumers.base.Consumer`."""
        data = build_dataset(settings, partition, space_id, validation_share=self.config.validation_share)
        if lack := lack_of_interests(data.pairs(), self.config.training.towers.num_interests):
            return NotApplicable(lack)
        rival = interest_choice_of(MultiInterestModel.load(champion)) if champion else None
        config = drawing_by(self.config, chosen_sampler(settings, self.name, partition).weights)
        trained = search_and_train_interests(data, replace(config, seed=settings.seed), rival)
        return TrainedConsumer(
            model=PlottedModel(model=trained.model, curves=trained.curves),
            checks=interest_checks(trained, settings.seed),
            metrics=interest_metrics(trained),
            params=trained.model.facts,
            curves=trained.curves,
        )

    def vectors(self, settings: Settings, folder: Path, partition: Partition) -> ConsumerSides:
        """Return both sides of a stored model; see `consumers.base.Consumer`."""
        model = MultiInterestModel.load(folder)
        return sides_of(model, read_dataset(settings, partition, model.space_id))


def lack_of_interests(pairs: PairLog, num_interests: int) -> str:
    """Return what there is too little of to tell several interests of a user apart; empty where there is enough."""
    num_items = int((pairs.item_counts() > 0).sum())
    if num_items < num_interests:
        return f"{num_items} items occur, fewer than the {num_interests} interests of a user"
    num_users = int((pairs.distinct().user_counts() > 1).sum())
    if num_users < LEAST_USERS:
        return f"{num_users} users have two different items, fewer than the {LEAST_USERS} that interests take"
    return ""


@dataclass(frozen=True, kw_only=True)
class PlottedModel:
    """A trained model that is stored with a picture of how its towers shared the wins, epoch by epoch.

    Attributes:
        model: The model.
        curves: Of its training; shares of wins and cosines are drawn, both between 0 and 1.
    """

    model: MultiInterestModel
    curves: Mapping[str, list[float]]

    @property
    def space_id(self) -> str:
        """The space whose vectors it reads."""
        return self.model.space_id

    def save(self, folder: Path) -> None:
        """Write the model's files and, of a model that was trained, `towers.png`; equal models give equal bytes."""
        self.model.save(folder)
        drawn = {
            name: values for name, values in self.curves.items() if name.startswith(("win_share", "mean_pairwise"))
        }
        if drawn:
            draw_curves(drawn, "Shares of wins and mean cosine of a user's vectors", folder / "towers.png")


def drawing_by(config: MultiInterestSearchConfig, weights: Mapping[str, float]) -> MultiInterestSearchConfig:
    """Return a configuration that draws candidates by the samplers chosen, where the catalogue is too large for all.

    Candidates are drawn for a block of users: samplers that read scores are passed over, uniform stands in for none.
    """
    powers = tuple((POPULARITY_POWERS[name], weight) for name, weight in weights.items() if name in POPULARITY_POWERS)
    return replace(config, training=replace(config.training, drawn_by=powers or config.training.drawn_by))


def interest_checks(trained: TrainedMultiInterest, seed: int) -> list[Check]:
    """Return the gate's checks: those of `matching`, and that every tower wins its part."""
    return [*checks_of(trained.evidence, seed), no_dead_tower(trained.shares_K)]


def no_dead_tower(shares_K: list[float]) -> Check:
    """Return the check that the tower with the least wins still wins `LEAST_WIN_SHARE` of an equal share.

    A model that knows no pair at all passes: nobody could win.
    """
    floor = LEAST_WIN_SHARE / max(len(shares_K), 1)
    return Check(
        name="no dead tower",
        passed=min(shares_K, default=0.0) >= floor or not any(shares_K),
        observed="shares of wins " + ", ".join(f"{share:.3f}" for share in shares_K),
        allowed=f"each at least {floor:.3f}",
    )


def interest_metrics(trained: TrainedMultiInterest) -> dict[str, float]:
    """Return the evaluation's figures with each tower's share of wins, flat."""
    return trained.evidence.metrics() | {f"win_share_{k}": share for k, share in enumerate(trained.shares_K)}


CONSUMER = MultiInterestConsumer()
