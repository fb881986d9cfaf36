"""The consumer `cold_start`: rank items for users without history, and imagine the encoder input that they lack.

MAIL (NetEase Cloud Music, CIKM 2021), with the inner-product ranking tower so that serving ranks by plain products.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from training.consumers.base import ConsumerSides, NotApplicable, TrainedConsumer
from training.consumers.cold_start.assemble import build_cold_start, read_cold_start, virtual_vectors
from training.consumers.cold_start.model import ColdStartModel
from training.consumers.cold_start.search import ColdStartConfig, Evidence, choice_of, search_and_train
from training.contracts.artefacts import Check
from training.contracts.partitions import Partition
from training.evaluation.gate import no_worse
from training.settings import Settings

NAME = "cold_start"
MARGINS = {"popularity": 0.0, "ranker alone": 0.03, "champion": 0.03}
"""Share of a rival's NDCG that may be lacking: none of popularity's; of a like model's, what seeds differ by."""


@dataclass(frozen=True, kw_only=True)
class ColdStartConsumer:
    """Train `cold_start` on a space, and judge it on users who play new and on the newest pairs of the others."""

    config: ColdStartConfig = field(default_factory=ColdStartConfig)
    name: str = NAME

    def train(
        self, settings: Settings, partition: Partition, space_id: str, champion: Path | None
    ) -> TrainedConsumer | NotApplicable:
        """Return the model trained on everything up to `partition`; see `consumers.base.Consumer`."""
        found = build_cold_start(settings, partition, space_id)
        if lack := found.data.lack:
            return NotApplicable(lack)
        rival = choice_of(ColdStartModel.load(champion)) if champion else None
        config = replace(self.config, seed=settings.seed)
        trained = search_and_train(found.data, config, space_id, rival)
        return TrainedConsumer(
            model=trained.model,
            checks=checks_of(trained.evidence, settings.seed),
            metrics=trained.evidence.metrics(),
            params=trained.model.facts,
            curves=trained.curves,
        )

    def vectors(self, settings: Settings, folder: Path, partition: Partition) -> ConsumerSides:
        """Return both sides of a stored model, and the virtual vectors of users without history."""
        model = ColdStartModel.load(folder)
        found = read_cold_start(settings, partition, model.space_id, model)
        rows, z_nZ = virtual_vectors(found, model)
        return ConsumerSides(
            space_id=model.space_id,
            users=found.users,
            items=found.interactions.items,
            user_vectors=model.user_vectors(found.data),
            item_vectors_ID=model.item_vectors(found.interactions.items),
            user_idx=found.interactions.user_idx,
            item_idx=found.interactions.item_idx,
            virtual_idx=rows,
            virtual_z=z_nZ,
        )


def checks_of(evidence: Evidence, seed: int) -> list[Check]:
    """Return the gate's checks: finite vectors, new users against every rival, old users against a like model.

    Old users are judged against the ranker alone and the champion: filling new users must not harm them. Popularity is
    what new users would get otherwise, so they alone are held against it.
    """
    observed = "all finite" if evidence.finite else "some not finite"
    checks = [
        Check(name="finite vectors", passed=evidence.finite, observed=observed, allowed="every value finite"),
    ]
    if not evidence.scores:
        checks.append(Check.not_measured("new users' NDCG@20", "too few users with history to hold some out", "any"))
    for rival in (name for name in evidence.scores if name != "own"):
        for group in ("new",) if rival == "popularity" else ("new", "old"):
            figures = evidence.ndcg("own", group), evidence.ndcg(rival, group)
            checks.append(no_worse(f"{group} users' NDCG@20 against {rival}", *figures, seed, MARGINS[rival]))
    return checks


CONSUMER = ColdStartConsumer()
