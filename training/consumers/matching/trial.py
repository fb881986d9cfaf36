"""Search width, epochs and calibration on one validation cut, and train given choices on it for comparison.

Shape legend: U users, I items, D width, Z width of a user vector of the space.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from training.arrays import Floats
from training.consumers.matching.initialisation import ItemStart, SpectrumName
from training.consumers.matching.model import fold_items, fold_users, scored_items, scored_users, user_directions
from training.consumers.matching.successors import Successors
from training.consumers.matching.train import MatchingTrainingConfig, Objective, fit
from training.consumers.matching.transitions import learn_successors
from training.ranking.calibration import Calibration, learned_terms
from training.ranking.calibration_search import (
    PerUserScores,
    ValidationCut,
    calibrate,
    likeliest,
    most_gaining,
    relative_gain,
    with_successors,
    with_z_share,
)
from training.ranking.cut import Cut, sides
from training.ranking.history_encoders import EncoderName
from training.ranking.space_directions import blend, fit_z_map, z_directions
from training.ranking.two_tower import TwoTower

_log = logging.getLogger(__name__)
Figures = dict[str, float]
ROUNDS = 2
"""Times that decay, spectrum and activity power are chosen, each given the others."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What validation chose and what the model learned by; the defaults are used when there is little to validate on.

    Attributes:
        width: D.
        num_epochs: Passes over the training period.
        calibration: How parts are weighed when serving.
        objective: `MatchingTrainingConfig.objective`.
        pairs_loss: `MatchingTrainingConfig.pairs_loss`.
        encoder: The history encoder.
        decay: Weight of an item of the history relative to the next newer one.
        spectrum: How much each direction of the start says.
        successor_width: R, columns of the chances that an item follows; 0 leaves them out.
    """

    width: int = 64
    num_epochs: int = 0
    calibration: Calibration = field(default_factory=Calibration)
    objective: Objective = "catalogue"
    pairs_loss: str = "bbcnce"
    encoder: EncoderName = "recency_mean"
    decay: float = 0.85
    spectrum: SpectrumName = "plain"
    successor_width: int = 0

    @classmethod
    def before_search(cls, training: MatchingTrainingConfig, width: int) -> Choice:
        """Return what a search sets out from; an objective that trains its own terms is served as it was trained."""
        calibration = Calibration(gamma=1.0) if training.is_ordered else Calibration()
        decay = training.tower.history.decay
        return cls(width=width, calibration=calibration, decay=decay, **by_which(training))

    def of_power(self, power: float) -> Choice:
        """Return this choice with another `Calibration.activity_power`."""
        return replace(self, calibration=replace(self.calibration, activity_power=power))

    def applied_to(self, training: MatchingTrainingConfig) -> MatchingTrainingConfig:
        """Return `training` with this choice's objective, loss, encoder, decay and width."""
        history = replace(training.tower.history, encoder=self.encoder, decay=self.decay)
        tower = replace(training.tower, width=self.width, history=history)
        return replace(training, tower=tower, objective=self.objective, pairs_loss=self.pairs_loss)


def by_which(training: MatchingTrainingConfig) -> dict[str, Any]:
    """Return the fields of a `Choice` that say how its model learned."""
    return {
        "objective": training.objective,
        "pairs_loss": training.pairs_loss,
        "encoder": training.tower.history.encoder,
    }


class Trial:
    """A search on one cut: what is chosen so far, the towers at their best epoch, and the figures on the way."""

    def __init__(
        self,
        cut: Cut,
        z_UZ: Floats | None,
        training: MatchingTrainingConfig,
        max_width: int,
        seed: int,
        other_cuts: Sequence[Cut] = (),
    ) -> None:
        self.cut, self.z_UZ, self.training, self.seed = cut, z_UZ, training, seed
        self.max_width = max_width
        self.start = self._start_of(cut, training.is_ordered)
        self.choice = Choice.before_search(training, min(64, max_width))
        self.tower = self._started(self.choice)
        self.successors = Successors.none(cut.known.num_items)
        self.others = [(other, self._start_of(other, training.is_ordered)) for other in other_cuts]
        self.figures: dict[str, Figures] = {}
        self._epochs: list[float] = []

    def choose_start(
        self,
        widths: tuple[int, ...],
        decays: tuple[float, ...],
        spectra: tuple[SpectrumName, ...] = ("plain",),
        powers: tuple[float, ...] = (0.0,),
    ) -> None:
        """Take decay of histories, spectrum of the start, activity power, then width, that rank best untrained.

        Each is judged on all cuts with the likeliest calibration of its own, and replaces the one in force only when
        the lists gain. The likelihood itself would not do: it weighs every candidate alike, and prefers starts that
        smooth over the few at the head. All are compared at the largest width, where a spectrum decides how much the
        last dimensions say, and once more after each other, since each depends on the others.
        """
        spectra = tuple(spectrum for spectrum in spectra if self.start.offers(spectrum))
        self.choice = replace(self.choice, width=max(widths), decay=decays[0], spectrum=spectra[0])
        said: dict[Choice, list[PerUserScores]] = {}
        for _ in range(ROUNDS):
            self._take_best([replace(self.choice, decay=decay) for decay in decays], said)
            self._take_best([replace(self.choice, spectrum=spectrum) for spectrum in spectra], said)
            self._take_best([self.choice.of_power(power) for power in powers], said)
        self._take_best([replace(self.choice, width=width) for width in widths], said)
        self.tower = self._started(self.choice)
        cuts = self._cuts()
        calibration = self._calibrated(cuts, trained=False)
        self.choice = replace(self.choice, calibration=calibration)
        self.figures["chosen"] = cuts[0].figures(calibration)

    def _take_best(self, choices: Sequence[Choice], said: dict[Choice, list[PerUserScores]]) -> None:
        """Take the best of some choices, the one in force among them; `said` holds what was said of all seen so far."""
        if len(choices) == 1:
            return
        for choice in choices:
            if choice not in said:
                said[choice] = self._said_of_start(choice)
        best = most_gaining([said[choice] for choice in choices], said[self.choice])
        self.choice = self.choice if best is None else choices[best]

    def _said_of_start(self, choice: Choice) -> list[PerUserScores]:
        cuts = [self._judged(self._started(choice), choice.calibration), *self._other_starts(choice)]
        calibration = likeliest(choice.calibration, cuts, self.training.tasks)
        power = f"_power_{choice.calibration.activity_power:g}" if choice.calibration.activity_power else ""
        name = f"start_width_{choice.width}_decay_{choice.decay:g}_{choice.spectrum}{power}"
        self.figures[name] = cuts[0].figures(calibration)
        _log.info(
            "matching: %s validates at %s", name, ", ".join(f"{k} {v:.4f}" for k, v in self.figures[name].items())
        )
        return [judge.of(calibration) for cut in cuts for judge in cut.judges(self.training.tasks)]

    def choose_epochs(self, max_epochs: int, patience: int, first: int = 1) -> None:
        """Train on what was known at the cut until validation stalls; keep the best epoch, which may be none.

        An epoch is kept only when it gains more than a standard error over the start: training costs time every day.
        Epochs before `first` are not validated, but for the last.
        """
        calibration = self.choice.calibration
        start = self._said(self.tower)
        gains, towers = {0: (0.0, 0.0)}, {0: self.tower}

        def after_epoch(epoch: int, tower: TwoTower) -> bool:
            if epoch < min(first, max_epochs):
                return True
            gains[epoch] = relative_gain(self._said(tower), start)
            towers[epoch] = copy.deepcopy(tower)
            _log.info("matching: epoch %d, validation %+.4f +- %.4f over the start", epoch, *gains[epoch])
            return epoch - max(gains, key=lambda epoch: gains[epoch]) < patience

        if max_epochs:
            training = self.choice.applied_to(self.training)
            fit(self._started(self.choice), self.cut.known, training, max_epochs, self.seed, after_epoch)
        self._epochs = [1 + gain for epoch, (gain, _) in gains.items() if epoch]
        best = max(gains, key=lambda epoch: gains[epoch])
        place = best if gains[best][0] > gains[best][1] else 0
        self.tower, self.choice = towers[place], replace(self.choice, num_epochs=place)
        self.figures["chosen"] = self._judged(self.tower).figures(calibration)
        self._calibrate_again()

    def _said(self, tower: TwoTower) -> list[PerUserScores]:
        judges = self._judged(tower).judges(self.training.tasks)
        return [judge.of(self.choice.calibration) for judge in judges]

    def _calibrate_again(self) -> None:
        if self.choice.num_epochs or self.training.is_ordered:
            cuts = self._cuts()
            calibration = self._calibrated(cuts, trained=True)
            self.choice = replace(self.choice, calibration=calibration)
            self.figures["chosen"] = cuts[0].figures(self.choice.calibration)

    def choose_successors(self, width: int) -> None:
        """Add the chances that an item follows a user's newest ones, at `width` columns, where the lists gain by it."""
        if not width:
            return
        self.successors = learn_successors(self.cut.known, width, self.seed)
        calibration = with_successors(self.choice.calibration, partial(self._judged, self.tower), self.training.tasks)
        if calibration == self.choice.calibration:
            self.successors = Successors.none(self.cut.known.num_items)
            return
        self.choice = replace(self.choice, calibration=calibration, successor_width=width)
        self.figures["chosen"] = self._judged(self.tower).figures(calibration)

    def choose_z_share(self) -> None:
        """Let the space's vectors into users with history where validation gains by it; see `with_z_share`."""
        if self.z_UZ is None or not self.z_UZ.any():
            return
        judged = partial(self._judged, self.tower)
        calibration = with_z_share(self.choice.calibration, judged, self.training.tasks)
        self.choice = replace(self.choice, calibration=calibration)
        self.figures["chosen"] = self._judged(self.tower).figures(calibration)

    def vectors(self) -> tuple[Floats, Floats]:
        """Return users float32[U, D + 2] and items float32[I, D + 2] of the choice, as known at the cut."""
        return self._folded(self.tower, self.choice.calibration, self.successors)

    def vectors_of(self, choice: Choice) -> tuple[Floats, Floats]:
        """Return the vectors of other choices, trained on the same cut."""
        training = choice.applied_to(self.training)
        is_own = training.is_ordered == self.training.is_ordered and choice.width <= self.max_width
        start = self.start if is_own else self._start_of(self.cut, training.is_ordered, choice.width)
        tower = start.tower(training.tower, choice.spectrum)
        if choice.num_epochs:
            fit(tower, self.cut.known, training, choice.num_epochs, self.seed, lambda epoch, model: True)
        successors = learn_successors(self.cut.known, choice.successor_width, self.seed)
        return self._folded(tower, choice.calibration, successors)

    def curves(self) -> dict[str, list[float]]:
        """Return the validation gain over the untrained start, one value per validated epoch."""
        return {"validation_gain": self._epochs} if self._epochs else {}

    def _cuts(self) -> list[ValidationCut]:
        return [self._judged(self.tower), *self._other_starts(self.choice)]

    def _judged(self, tower: TwoTower, calibration: Calibration | None = None) -> ValidationCut:
        calibration = calibration or self.choice.calibration
        directions = self._directions(tower, calibration)
        return self._judged_on(self.cut, tower, directions, calibration, self.successors)

    def _other_starts(self, choice: Choice) -> list[ValidationCut]:
        """Longer horizons are judged on the untrained start alone: training for each would cost as much again."""
        config, calibration = choice.applied_to(self.training).tower, choice.calibration
        starts = [(cut, start.tower(config, choice.spectrum)) for cut, start in self.others]
        none = Successors.none(self.cut.known.num_items)  # every cut is over the same items
        return [
            self._judged_on(cut, tower, user_directions(tower, cut.known), calibration, none) for cut, tower in starts
        ]

    def _judged_on(
        self, cut: Cut, tower: TwoTower, directions_UD: Floats, calibration: Calibration, successors: Successors
    ) -> ValidationCut:
        users = scored_users(directions_UD, tower, calibration, cut.known, successors)
        recommend, target = sides(cut, users, scored_items(tower, successors), self.seed, self.training.tasks)
        return ValidationCut(cut.known, learned_terms(tower.item_bias, cut.known), recommend, target)

    def _directions(self, tower: TwoTower, calibration: Calibration) -> Floats:
        directions = user_directions(tower, self.cut.known)
        if self.z_UZ is None:
            return directions
        return blend(directions, z_directions(self.z_UZ, fit_z_map(self.z_UZ, directions)), calibration)

    def _folded(self, tower: TwoTower, calibration: Calibration, successors: Successors) -> tuple[Floats, Floats]:
        known = self.cut.known
        users = fold_users(self._directions(tower, calibration), tower, calibration, known, successors)
        item_terms_I = calibration.item_terms(known, learned_terms(tower.item_bias, known))
        return users, fold_items(tower, item_terms_I, successors)

    def _calibrated(self, cuts: Sequence[ValidationCut], *, trained: bool) -> Calibration:
        """Terms that training sets itself are weighed after it alone."""
        if self.training.is_ordered and not trained:
            return self.choice.calibration
        return calibrate(self.choice.calibration, cuts, self.training.tasks)

    def _started(self, choice: Choice) -> TwoTower:
        return self.start.tower(choice.applied_to(self.training).tower, choice.spectrum)

    def _start_of(self, cut: Cut, is_ordered: bool, width: int | None = None) -> ItemStart:
        return ItemStart(cut.known, width or self.max_width, self.seed, ordered=is_ordered)
