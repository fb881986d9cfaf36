"""Compare the losses over positive pairs on both tasks, and one model for both against a specialised one for each.

All else is equal: the same towers from the same decomposition, phi = <u, v> / tau + b_u + b_i, no calibration. Every
loss starts with the terms that its minimiser holds, so that none has to learn or unlearn what the start gave another;
tau and the number of epochs are chosen for each loss on validation, by the mean of both tasks, and for a specialised
model by its own. What was held out is scored once per seed.

Shape legend: U users, I items, D width.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import torch

from training.arrays import Doubles, Floats
from training.bench.shared.cache import Cache, code_hash, library_versions
from training.bench.shared.rows import Row, average, spread
from training.bench.shared.tasks import Problem, Task
from training.consumers.matching.initialisation import ItemStart
from training.consumers.matching.model import user_directions
from training.consumers.matching.train import MatchingTrainingConfig, fit
from training.data.pair_log import PairLog
from training.evaluation.metrics import TwoSidedScores, VectorScorer, evaluate
from training.losses.family import PAIR_LOSSES
from training.ranking.cut import Cut, sides
from training.ranking.history_encoders import HistoryConfig
from training.ranking.two_tower import TwoTower, TwoTowerConfig

logger = logging.getLogger(__name__)
POST_HOC = "sim_clr + log p"
"""SimCLR as trained, the marginals added when it is served."""
FOR_ITEMS, FOR_USERS = "row_bcnce, chosen for recommendation", "column_bcnce, chosen for targeting"
"""The specialised models: tau and epochs by their own task."""
_TRAINED_AS = {POST_HOC: "sim_clr", FOR_ITEMS: "row_bcnce", FOR_USERS: "column_bcnce"}
_WEIGHTS = {FOR_ITEMS: (1.0, 0.0), FOR_USERS: (0.0, 1.0)}


@dataclass(frozen=True, kw_only=True)
class LossStudy:
    """What all losses share, and what is chosen for each.

    Attributes:
        taus: Temperatures to choose among.
        max_epochs: Passes over the pairs at most; fewer are chosen where validation says so.
        training: How the towers learn, whatever the loss.
    """

    taus: tuple[float, ...] = (0.07, 0.15, 0.3, 0.6, 1.2)
    max_epochs: int = 2
    training: MatchingTrainingConfig = field(
        default_factory=lambda: MatchingTrainingConfig(
            tower=TwoTowerConfig(width=64, history=HistoryConfig(max_length=50)),
            learning_rate=2e-3,
            objective="pairs",
            batch_pairs=512,
        )
    )

    def of(self, loss: str, tau: float) -> MatchingTrainingConfig:
        """Return the configuration of a loss at a temperature."""
        tower = replace(self.training.tower, temperature=tau)
        return replace(self.training, tower=tower, pairs_loss=loss)


@dataclass(frozen=True)
class _Chosen:
    tau: float
    num_epochs: int
    validation: float


def lines_of(loss: str) -> tuple[str, ...]:
    """Return the lines of the tables whose model is trained by a loss."""
    return (loss, *(name for name, trained in _TRAINED_AS.items() if trained == loss))


def loss_rows(
    problem: Problem,
    cache: Cache,
    seeds: Sequence[int],
    study: LossStudy | None = None,
    losses: Sequence[str] = tuple(PAIR_LOSSES),
) -> list[Row]:
    """Return a row per line of the tables, means over seeds, kept by data, code and configuration."""
    study = study or LossStudy()
    rows = []
    for loss in losses:
        key = {
            "data": problem.content_hash,
            "protocol": problem.protocol,
            "loss": loss,
            "study": asdict(study),
            "seeds": list(seeds),
            "code": code_hash(__name__),
            "versions": library_versions(),
        }
        kept = cache.get(
            f"{problem.label} loss {loss}",
            key,
            lambda loss=loss: [row.to_dict() for row in _measure(problem, loss, study, tuple(seeds))],  # type: ignore[misc]
        )
        rows += [Row.from_dict(row) for row in kept]
    return rows


def _measure(problem: Problem, loss: str, study: LossStudy, seeds: tuple[int, ...]) -> list[Row]:
    started = time.perf_counter()
    chosen = _choose(problem.validation, loss, study, seeds[0])
    tuned = time.perf_counter() - started
    return [_scored(problem, name, study, choice, seeds, tuned) for name, choice in chosen.items()]


def _scored(
    problem: Problem, name: str, study: LossStudy, chosen: _Chosen, seeds: tuple[int, ...], tuned: float
) -> Row:
    k = problem.test.k
    runs = [_fit(problem.test, name, study, chosen, seed) for seed in seeds]
    metrics, spread = average([scores for scores, _ in runs], k)
    mean, mean_spread = _mean_of([scores for scores, _ in runs], k)
    figures = metrics[f"ndcg@{k}"], metrics[f"target_ndcg@{k}"]
    logger.info("%s: %s N %.4f T-N %.4f, %s", problem.label, name, *figures, chosen)
    return Row(
        data=problem.data,
        protocol=problem.protocol,
        model=name,
        family="ours",
        params=asdict(chosen),
        seeds=seeds,
        metrics=metrics | {"mean_ndcg": mean},
        seed_spread=spread | {"mean_ndcg": mean_spread},
        fit_seconds=round(float(np.median([seconds for _, seconds in runs])), 2),
        tune_seconds=round(tuned, 1),
    )


def _mean_of(runs: Sequence[TwoSidedScores], k: int) -> tuple[float, float]:
    """Return the mean of both tasks' NDCG, averaged over seeds, and its standard deviation over seeds."""
    means = [(s.summary(k)[f"ndcg@{k}"] + s.summary(k)[f"target_ndcg@{k}"]) / 2 for s in runs]
    return float(np.mean(means)), spread(means)


def _choose(task: Task, loss: str, study: LossStudy, seed: int) -> dict[str, _Chosen]:
    """Return for each line the temperature and number of epochs that validate best, all from one sweep."""
    pairs = pairs_of(task)
    cut = Cut(pairs, _held_out(task, pairs))
    start = ItemStart(pairs, study.training.tower.width, seed, ordered=False)
    best = {name: _Chosen(study.taus[0], 1, -1.0) for name in lines_of(loss)}
    for tau in study.taus:
        config = study.of(loss, tau)

        def after_epoch(epoch: int, tower: TwoTower, tau: float = tau) -> bool:
            for name, so_far in best.items():
                value = _validated(cut, tower, pairs, name, seed)
                best[name] = max(so_far, _Chosen(tau, epoch, value), key=lambda one: one.validation)
            return True

        fit(_started(start, config), pairs, config, study.max_epochs, seed, after_epoch)
    return best


def _validated(cut: Cut, tower: TwoTower, pairs: PairLog, name: str, seed: int) -> float:
    """Return the mean NDCG of both tasks, or that of the one a model is specialised in."""
    users, user_terms, items, item_terms = _parts(tower, pairs, name)
    recommend, target = sides(cut, users, items, seed)
    figures = [recommend.judge(1.0, item_terms), target.judge(1.0, user_terms)]
    means = [side[:, 1].mean() if len(side) else 0.0 for side in figures]
    return float(np.dot(_WEIGHTS.get(name, (0.5, 0.5)), means))


def _fit(task: Task, name: str, study: LossStudy, chosen: _Chosen, seed: int) -> tuple[TwoSidedScores, float]:
    started = time.perf_counter()
    pairs, config = pairs_of(task), study.of(_TRAINED_AS.get(name, name), chosen.tau)
    tower = _started(ItemStart(pairs, config.tower.width, seed, ordered=False), config)
    fit(tower, pairs, config, chosen.num_epochs, seed, lambda epoch, model: True)
    seconds = time.perf_counter() - started
    users, user_terms, items, item_terms = _parts(tower, pairs, name)
    ones_U, ones_I = np.ones(len(users)), np.ones(len(items))
    scorer = VectorScorer(
        np.column_stack([users, user_terms, ones_U]).astype(np.float32),
        np.column_stack([items, ones_I, item_terms]).astype(np.float32),
    )
    return evaluate(scorer, task.log.matrix, task.held_out, task.k), seconds


@torch.no_grad()
def _started(start: ItemStart, config: MatchingTrainingConfig) -> TwoTower:
    """Return towers whose terms are those of the loss's minimiser, relative to uniform frequencies."""
    loss, tower, pairs = PAIR_LOSSES[config.pairs_loss], start.tower(config.tower), start.pairs
    num_pairs = max(len(pairs), 1)
    popularity = np.log((pairs.item_counts() + 0.5) * pairs.num_items / num_pairs) if loss.holds_items else 0.0
    level = np.log(pairs.num_users / num_pairs) if loss.holds_users else 0.0
    tower.item_bias.copy_(torch.from_numpy(np.broadcast_to(popularity + level, (pairs.num_items,)).copy()))
    tower.activity.fill_(float(loss.holds_users))
    return tower


@torch.no_grad()
def _parts(tower: TwoTower, pairs: PairLog, name: str) -> tuple[Floats, Doubles, Floats, Doubles]:
    """Return scaled users [U, D], their terms, items [I, D], their terms, as the line of the table is served."""
    users = np.asarray(float(tower.scale) * user_directions(tower, pairs), np.float32)
    user_terms = tower.user_bias(torch.from_numpy(pairs.user_counts()).float()).double().numpy()
    item_terms = tower.item_bias.double().numpy()
    if name == POST_HOC:
        user_terms = user_terms + np.log(pairs.user_counts() + 0.5)
        item_terms = item_terms + np.log(pairs.item_counts() + 0.5)
    return users, user_terms, tower.items().numpy(), item_terms


def pairs_of(task: Task) -> PairLog:
    """Return a task's training pairs as what the towers learn from."""
    log = task.log
    order = np.argsort(log.occurred_at, kind="stable")
    columns = log.user_idx[order], log.item_idx[order], log.occurred_at[order]
    return PairLog.of(*columns, log.num_users, log.num_items)


def _held_out(task: Task, pairs: PairLog) -> PairLog:
    """Return what was held out, all at the end of the training period: only who and what is read."""
    rows, columns = task.held_out.nonzero()
    times = np.full(len(rows), pairs.as_of, np.int64)
    return replace(pairs, user_idx=rows.astype(np.int64), item_idx=columns.astype(np.int64), occurred_at=times)
