"""Search width, epochs and calibration on one validation cut, and train given choices on it for comparison.

Shape legend: U users, I items, D width, Z width of a user vector of the space.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

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
    figures_of,
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

logger = logging.getLogger(__name__)
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


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What is chosen so far, and how it does; each step of a `Trial` takes one and returns the next.

    Attributes:
        choice: The choices in force.
        tower: The towers that they give on the cut, at their best epoch.
        successors: What came next after each item; of no columns where the choice leaves it out.
        figures: Validation figures of everything that was looked at; "chosen" is the choice.
        gains: Validation over the untrained start, one value per validated epoch.
    """

    choice: Choice
    tower: TwoTower
    successors: Successors
    figures: Mapping[str, Figures] = field(default_factory=dict)
    gains: tuple[float, ...] = ()

    def curves(self) -> dict[str, list[float]]:
        """Return the validation gain over the untrained start, one value per validated epoch."""
        return {"validation_gain": list(self.gains)} if self.gains else {}


class _JudgedStart(NamedTuple):
    """How an untrained start does with the likeliest calibration of its own: on all cuts, and in figures on the own."""

    name: str
    scores: list[PerUserScores]
    figures: Figures


class Trial:
    """One cut to validate on: its steps choose one thing each, given what is chosen so far, and keep nothing."""

    def __init__(
        self,
        cut: Cut,
        z_UZ: Floats | None,
        training: MatchingTrainingConfig,
        max_width: int,
        seed: int,
        other_cuts: Sequence[Cut] = (),
    ) -> None:
        """Factorise what each cut knows.

        Args:
            cut: What is known, and what followed.
            z_UZ: float32[U, Z], the space's vectors as of the cut or earlier; None leaves them out.
            training: How the towers learn, apart from the choices.
            max_width: The largest D to choose.
            seed: Seed of every draw.
            other_cuts: Longer horizons, which the calibration is judged on besides.
        """
        self.cut, self.z_UZ, self.training, self.seed = cut, z_UZ, training, seed
        self.max_width = max_width
        self.start = self._start_of(cut, training.is_ordered)
        self.others = [(other, self._start_of(other, training.is_ordered)) for other in other_cuts]

    def untrained(self, choice: Choice | None = None) -> Tried:
        """Return a choice at its start, without successors; what a search sets out from where none is given."""
        choice = choice or Choice.before_search(self.training, min(64, self.max_width))
        tower = self.start.tower(choice.applied_to(self.training).tower, choice.spectrum)
        return Tried(choice=choice, tower=tower, successors=Successors.none(self.cut.known.num_items))

    def with_start(
        self,
        tried: Tried,
        widths: tuple[int, ...],
        decays: tuple[float, ...],
        spectra: tuple[SpectrumName, ...] = ("plain",),
        powers: tuple[float, ...] = (0.0,),
    ) -> Tried:
        """Return the start whose decay, spectrum, activity power, then width, rank best untrained.

        Each is judged on all cuts with the likeliest calibration of its own, and replaces the one in force only when
        the lists gain. The likelihood itself would not do: it weighs every candidate alike, and prefers starts that
        smooth over the few at the head. All are compared at the largest width, where a spectrum decides how much the
        last dimensions say, and once more after each other, since each depends on the others.
        """
        spectra = tuple(spectrum for spectrum in spectra if self.start.offers(spectrum))
        choice = replace(tried.choice, width=max(widths), decay=decays[0], spectrum=spectra[0])
        judged: dict[Choice, _JudgedStart] = {}
        for _ in range(ROUNDS):
            choice = self._best(choice, [replace(choice, decay=decay) for decay in decays], judged)
            choice = self._best(choice, [replace(choice, spectrum=spectrum) for spectrum in spectra], judged)
            choice = self._best(choice, [choice.of_power(power) for power in powers], judged)
        choice = self._best(choice, [replace(choice, width=width) for width in widths], judged)
        figures = {start.name: start.figures for start in judged.values()}
        return self._calibrated(replace(self.untrained(choice), figures={**tried.figures, **figures}))

    def with_epochs(self, tried: Tried, max_epochs: int, patience: int, first: int = 1) -> Tried:
        """Return the best epoch of a training until validation stalls on what was known at the cut; it may be none.

        An epoch is kept only when it gains more than a standard error over the start: training costs time every day.
        Epochs before `first` are not validated, but for the last.
        """
        start = self._scores(tried)
        gains, reached = {0: (0.0, 0.0)}, {0: _after(tried, 0, tried.tower)}

        def after_epoch(epoch: int, tower: TwoTower) -> bool:
            if epoch < min(first, max_epochs):
                return True
            gains[epoch] = relative_gain(self._scores(replace(tried, tower=tower)), start)
            reached[epoch] = _after(tried, epoch, copy.deepcopy(tower))
            logger.info("matching: epoch %d, validation %+.4f +- %.4f over the start", epoch, *gains[epoch])
            return epoch - max(gains, key=lambda epoch: gains[epoch]) < patience

        if max_epochs:
            training, tower = tried.choice.applied_to(self.training), self.untrained(tried.choice).tower
            fit(tower, self.cut.known, training, max_epochs, self.seed, after_epoch)
        best = max(gains, key=lambda epoch: gains[epoch])
        kept = reached[best if gains[best][0] > gains[best][1] else 0]
        kept = replace(kept, gains=tuple(1 + gain for epoch, (gain, _) in gains.items() if epoch))
        if kept.choice.num_epochs or self.training.is_ordered:
            return self._calibrated(kept, trained=True)
        return self._with_calibration(kept, kept.choice.calibration)

    def with_successors(self, tried: Tried, width: int) -> Tried:
        """Add the chances that an item follows a user's newest ones, at `width` columns, where the lists gain by it."""
        if not width:
            return tried
        added = replace(tried, successors=learn_successors(self.cut.known, width, self.seed))
        calibration = with_successors(tried.choice.calibration, partial(self._judged, added), self.training.tasks)
        if calibration == tried.choice.calibration:
            return tried
        added = replace(added, choice=replace(added.choice, successor_width=width))
        return self._with_calibration(added, calibration)

    def with_z_share(self, tried: Tried) -> Tried:
        """Let the space's vectors into users with history where validation gains by it; see `with_z_share`."""
        if self.z_UZ is None or not self.z_UZ.any():
            return tried
        judged = partial(self._judged, tried)
        return self._with_calibration(tried, with_z_share(tried.choice.calibration, judged, self.training.tasks))

    def vectors(self, tried: Tried) -> tuple[Floats, Floats]:
        """Return users float32[U, D + R + 2] and items float32[I, D + R + 2] of what is chosen, as of the cut."""
        known, tower, calibration, successors = self.cut.known, tried.tower, tried.choice.calibration, tried.successors
        users = fold_users(self._directions(tower, calibration), tower, calibration, known, successors)
        item_terms_I = calibration.item_terms(known, learned_terms(tower.item_bias, known))
        return users, fold_items(tower, item_terms_I, successors)

    def vectors_of(self, choice: Choice) -> tuple[Floats, Floats]:
        """Return the vectors of other choices, trained on the same cut."""
        training = choice.applied_to(self.training)
        is_own = training.is_ordered == self.training.is_ordered and choice.width <= self.max_width
        start = self.start if is_own else self._start_of(self.cut, training.is_ordered, choice.width)
        tower = start.tower(training.tower, choice.spectrum)
        if choice.num_epochs:
            fit(tower, self.cut.known, training, choice.num_epochs, self.seed, lambda epoch, model: True)
        successors = learn_successors(self.cut.known, choice.successor_width, self.seed)
        return self.vectors(Tried(choice=choice, tower=tower, successors=successors))

    def _best(self, in_force: Choice, choices: Sequence[Choice], judged: dict[Choice, _JudgedStart]) -> Choice:
        """Return the best of some choices, the one in force among them; `judged` takes every start that is judged."""
        if len(choices) == 1:
            return choices[0]
        for choice in choices:
            if choice not in judged:
                judged[choice] = self._judged_start(choice)
        best = most_gaining([judged[choice].scores for choice in choices], judged[in_force].scores)
        return in_force if best is None else choices[best]

    def _judged_start(self, choice: Choice) -> _JudgedStart:
        cuts = self._cuts(self.untrained(choice))
        calibration = likeliest(choice.calibration, cuts, self.training.tasks)
        power = f"_power_{choice.calibration.activity_power:g}" if choice.calibration.activity_power else ""
        name = f"start_width_{choice.width}_decay_{choice.decay:g}_{choice.spectrum}{power}"
        said = [[judge.of(calibration) for judge in cut.judges(self.training.tasks)] for cut in cuts]
        figures = figures_of(said[0], self.training.tasks)
        logger.info("matching: %s validates at %s", name, ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
        return _JudgedStart(name, [one for scores in said for one in scores], figures)

    def _scores(self, tried: Tried) -> list[PerUserScores]:
        return [judge.of(tried.choice.calibration) for judge in self._judged(tried).judges(self.training.tasks)]

    def _calibrated(self, tried: Tried, *, trained: bool = False) -> Tried:
        """Terms that training sets itself are weighed after it alone."""
        cuts, calibration = self._cuts(tried), tried.choice.calibration
        if trained or not self.training.is_ordered:
            calibration = calibrate(calibration, cuts, self.training.tasks)
        return self._with_calibration(tried, calibration, cuts[0])

    def _with_calibration(self, tried: Tried, calibration: Calibration, own: ValidationCut | None = None) -> Tried:
        found = replace(tried, choice=replace(tried.choice, calibration=calibration))
        figures = (own or self._judged(found)).figures(calibration)
        return replace(found, figures={**tried.figures, "chosen": figures})

    def _cuts(self, tried: Tried) -> list[ValidationCut]:
        return [self._judged(tried), *self._other_starts(tried.choice)]

    def _judged(self, tried: Tried, calibration: Calibration | None = None) -> ValidationCut:
        calibration = calibration or tried.choice.calibration
        directions = self._directions(tried.tower, calibration)
        return self._judged_on(self.cut, tried.tower, directions, calibration, tried.successors)

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

    def _start_of(self, cut: Cut, is_ordered: bool, width: int | None = None) -> ItemStart:
        return ItemStart(cut.known, width or self.max_width, self.seed, ordered=is_ordered)


def _after(tried: Tried, num_epochs: int, tower: TwoTower) -> Tried:
    return replace(tried, choice=replace(tried.choice, num_epochs=num_epochs), tower=tower)
