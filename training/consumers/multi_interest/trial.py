"""Train multi-interest candidates on one validation cut and compare them user by user.

Shape legend: U users, I items, K judged users, D width, E width of an item's features, Z width of the space's vectors.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import partial

from training.arrays import Doubles, Floats, Indices
from training.consumers.multi_interest.initialisation import started_model
from training.consumers.multi_interest.model import blended, fold_interests, fold_scored_items, interests_of
from training.consumers.multi_interest.network import MultiInterest
from training.consumers.multi_interest.train import MultiInterestTrainingConfig, fit
from training.data.pair_log import PairLog
from training.ranking.calibration import Calibration, learned_terms
from training.ranking.calibration_search import (
    REQUIRED_GAIN,
    PerUserScores,
    ValidationCut,
    calibrate,
    relative_gain,
    with_z_share,
)
from training.ranking.cut import TASKS, Cut, judged_keys, sides
from training.ranking.initialisation import svd_items
from training.ranking.space_directions import fit_z_map

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class InterestChoice:
    """What validation chooses.

    Attributes:
        num_interests: K.
        decay: Weight of an item relative to the next newer one at the start.
        repel_weight: lambda.
        num_epochs: Passes over the users, or over as many of them as an epoch takes at most.
        calibration: How the parts of the score are weighed.
    """

    num_interests: int
    decay: float
    repel_weight: float
    num_epochs: int = 0
    calibration: Calibration = field(default_factory=Calibration)

    def applied_to(self, config: MultiInterestTrainingConfig) -> MultiInterestTrainingConfig:
        """Return a training configuration with the choices in force."""
        towers = replace(config.towers, num_interests=self.num_interests, decay=self.decay)
        return replace(config, towers=towers, repel_weight=self.repel_weight)


@dataclass(frozen=True)
class Candidate:
    """A choice trained on the cut.

    Attributes:
        choice: With the number of epochs that did best.
        network: As of that epoch.
        found_K2: float64[K, 2], recall and NDCG of recommendation of each judged user.
        curves: One list of values per curve, one value an epoch.
    """

    choice: InterestChoice
    network: MultiInterest
    found_K2: Doubles
    curves: dict[str, list[float]]


class InterestTrial:
    """Starts, trains and judges candidates; all of them know the same rows and are judged on the same users."""

    def __init__(
        self,
        cut: Cut,
        features_IE: Floats,
        z_UZ: Floats | None,
        config: MultiInterestTrainingConfig,
        seed: int,
        learn_from: PairLog | None = None,
    ) -> None:
        """Prepare trials on a cut.

        Args:
            cut: What is known of the users, and what followed.
            features_IE: float32[I, E]; zero rows have none.
            z_UZ: float32[U, Z], the space's vectors as of the cut or earlier; None leaves them out.
            config: How the towers learn, apart from the choices.
            seed: Seed of every draw.
            learn_from: The rows that the towers learn from, where some users of the cut are only read; None takes all
                that is known.
        """
        self.cut, self.features_IE, self.z_UZ, self.config, self.seed = cut, features_IE, z_UZ, config, seed
        self.learn_from = cut.known if learn_from is None else learn_from
        self.judged_users = judged_keys(cut.later.matrix(), seed)
        self.svd_ID = svd_items(self.learn_from, config.towers.width, seed)

    def untrained(self, choice: InterestChoice) -> Candidate:
        """Return a choice at its start."""
        network = self._started(choice)
        return Candidate(replace(choice, num_epochs=0), network, self._found(network, choice.calibration), {})

    def trained(self, choice: InterestChoice, max_epochs: int, patience: int) -> Candidate:
        """Return a choice at its best epoch, which may be none; training stops after `patience` that gain nothing."""
        best, told = self.untrained(choice), _short(choice)
        curves: dict[str, list[float]] = {}

        def after_epoch(epoch: int, network: MultiInterest, figures: dict[str, float]) -> bool:
            nonlocal best
            found = self._found(network, choice.calibration)
            gain, _ = gain_over(found, best.found_K2)
            for name, value in {**figures, "validation_ndcg": float(found[:, 1].mean())}.items():
                curves.setdefault(name, []).append(value)
            if gain > 0:
                best = Candidate(replace(choice, num_epochs=epoch), copy.deepcopy(network), found, curves)
            logger.info("multi-interest: %s, epoch %d: validation NDCG %.4f", told, epoch, found[:, 1].mean())
            return epoch - best.choice.num_epochs < patience

        network = self._started(choice)
        fit(network, self.learn_from, choice.applied_to(self.config), max_epochs, self.seed, after_epoch)
        reached, epochs = float(best.found_K2[:, 1].mean()), best.choice.num_epochs
        logger.info("multi-interest: %s reached validation NDCG %.4f after %d epochs", told, reached, epochs)
        return replace(best, curves=curves)

    def exactly(self, choice: InterestChoice) -> MultiInterest:
        """Return a choice trained for its own number of epochs."""
        network = self._started(choice)
        if choice.num_epochs:
            fit(network, self.learn_from, choice.applied_to(self.config), choice.num_epochs, self.seed, go_on)
        return network

    def calibrated(self, network: MultiInterest, choice: InterestChoice) -> InterestChoice:
        """Return the choice with the parts of the score weighed anew, z beside the history among them."""
        calibration = calibrate(choice.calibration, [self.judged(network, choice.calibration)])
        if self.z_UZ is not None and self.z_UZ.any():
            judged = partial(self.judged, network, tasks=TASKS[:1])
            calibration = with_z_share(calibration, judged, TASKS[:1])
        return replace(choice, calibration=calibration)

    def judged(self, network: MultiInterest, calibration: Calibration, tasks: Collection[str] = TASKS) -> ValidationCut:
        """Return both sides of a cut, scored by the largest of each user's products; one without its task is empty."""
        needed = self.judged_users if TASKS[1] not in tasks and not calibration.z_share else None
        scales = float(network.scale.detach()) * calibration.user_lengths(self.cut.known)
        users = scales[:, None, None] * self._interests(network, calibration, needed)
        recommend, target = sides(self.cut, users, network.items().detach().numpy(), self.seed, tasks)
        return ValidationCut(self.cut.known, learned_terms(network.item_bias, self.cut.known), recommend, target)

    def vectors(self, network: MultiInterest, calibration: Calibration) -> tuple[Floats, Floats]:
        """Return users float32[U, K, D + 2] and items float32[I, D + 2] as known at the cut."""
        return folded(network, calibration, self.cut.known, self._interests(network, calibration))

    def _interests(self, network: MultiInterest, calibration: Calibration, users: Indices | None = None) -> Floats:
        """Return float32[U, K, D]; of `users` alone, who have a history, where z is given no share."""
        interests = interests_of(network, self.cut.known, users)
        if self.z_UZ is None or users is not None:
            return interests
        return blended(interests, self.z_UZ, z_map(self.z_UZ, interests), calibration)

    def _found(self, network: MultiInterest, calibration: Calibration) -> Doubles:
        """Return float64[K, 2], recall and NDCG of recommendation, reading the judged users alone where that is all."""
        return self.judged(network, calibration, TASKS[:1]).judge_items(calibration)

    def _started(self, choice: InterestChoice) -> MultiInterest:
        towers = choice.applied_to(self.config).towers
        return started_model(towers, self.learn_from, self.svd_ID, self.features_IE, self.seed)


def folded(
    network: MultiInterest, calibration: Calibration, known: PairLog, interests_UKD: Floats
) -> tuple[Floats, Floats]:
    """Return users float32[U, K, D + 2] and items float32[I, D + 2], their terms as a log tells them."""
    users = fold_interests(interests_UKD, network, calibration, known)
    return users, fold_scored_items(network, calibration.item_terms(known, learned_terms(network.item_bias, known)))


def train_choice(
    choice: InterestChoice, config: MultiInterestTrainingConfig, pairs: PairLog, features_IE: Floats, seed: int
) -> tuple[MultiInterest, dict[str, list[float]]]:
    """Return a choice trained on a whole log for its number of epochs, and the curves of that training."""
    training = choice.applied_to(config)
    svd_ID = svd_items(pairs, training.towers.width, seed)
    network = started_model(training.towers, pairs, svd_ID, features_IE, seed)
    curves: dict[str, list[float]] = {}

    def after_epoch(epoch: int, model: MultiInterest, figures: dict[str, float]) -> bool:
        for name, value in figures.items():
            curves.setdefault(name, []).append(value)
        return True

    if choice.num_epochs:
        fit(network, pairs, training, choice.num_epochs, seed, after_epoch)
    return network, curves


def z_map(z_UZ: Floats, interests_UKD: Floats) -> Floats:
    """Return float32[Z, K * D]: ridge maps from the space's vectors to each tower's direction, side by side."""
    return fit_z_map(z_UZ, interests_UKD.reshape(len(interests_UKD), -1))


def is_better(found_K2: Doubles, reference_K2: Doubles) -> bool:
    """Return whether the gain exceeds `REQUIRED_GAIN` standard errors of the paired differences."""
    gain, error = gain_over(found_K2, reference_K2)
    return gain > REQUIRED_GAIN * error


def gain_over(found_K2: Doubles, reference_K2: Doubles) -> tuple[float, float]:
    """Return the mean relative change of recall and NDCG, and its standard error over users; zeros without users."""
    found, reference = (PerUserScores(figures, max(len(figures), 1)) for figures in (found_K2, reference_K2))
    return relative_gain([found], [reference])


def go_on(epoch: int, network: MultiInterest, figures: dict[str, float]) -> bool:
    """Return True after every epoch."""
    return True


def _short(choice: InterestChoice) -> str:
    return f"K {choice.num_interests}, decay {choice.decay:g}, repel {choice.repel_weight:g}"
