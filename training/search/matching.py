"""Train the matching model with every choice made on a validation cut of its own training period.

The cut is the last tenth of the log. On the rest, width and calibration are chosen on the untrained start, then the
number of epochs by early stopping, then the calibration again; last, the same is trained on the whole log.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.matching_set import MatchingData
from training.data.pair_log import PairLog
from training.engine.matching import MatchingTrainingConfig, fit
from training.engine.matching_start import started_tower, svd_items
from training.models.matching import (
    COUNT_OFFSET,
    Calibration,
    MatchingModel,
    fit_z_map,
    user_directions,
)
from training.models.two_tower import TwoTower
from training.search.matching_calibration import calibrate
from training.search.matching_validation import Cut, sides

_log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
FIELDS = ("recall", "ndcg", "target_recall", "target_ndcg")


@dataclass(frozen=True, kw_only=True)
class MatchingConfig:
    """What is fixed and what is searched.

    Attributes:
        training: How the towers learn.
        widths: Tower widths to choose among on the untrained start, ascending.
        max_epochs: Passes over the users at most; 0 keeps the untrained start.
        patience: Epochs without a better validation before stopping.
        validation_share: Share of rows, the newest, that validate.
        min_validation_rows: Fewer held-out rows than this choose nothing: defaults are used and no epoch is trained.
        seed: Seed of every draw.
    """

    training: MatchingTrainingConfig = field(default_factory=MatchingTrainingConfig)
    widths: tuple[int, ...] = (64, 128, 256)
    max_epochs: int = 8
    patience: int = 2
    validation_share: float = 0.1
    min_validation_rows: int = 50
    seed: int = 17


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What validation chose, with its figures."""

    width: int
    num_epochs: int
    calibration: Calibration
    figures: dict[str, Any]


def train_matching(data: MatchingData, config: MatchingConfig | None = None) -> MatchingModel:
    """Return the model trained on all of `data`, its choices made on the cut inside.

    Args:
        data: Interactions with the vectors of one space; no user vector later than the cut is used to validate.
        config: What is fixed and what is searched.
    """
    config = config or MatchingConfig()
    began = time.process_time()
    pairs = data.pairs()
    choice = choose(data, pairs, config)
    _log.info("matching: chose %s", asdict(choice))
    tower = _train(pairs, svd_items(pairs, choice.width, config.seed), choice.num_epochs, config, choice.width)
    z_map = fit_z_map(data.z_UZ, user_directions(tower, pairs))
    facts = {"choice": asdict(choice), "config": asdict(config)}
    _log.info("matching: trained in %.0f CPU seconds", time.process_time() - began)
    return MatchingModel(
        space_id=data.space_id,
        items=data.items,
        tower=tower,
        calibration=choice.calibration,
        item_terms_I=choice.calibration.item_terms(pairs, learned_terms(tower, pairs)),
        z_map_ZD=z_map,
        facts=facts,
    )


def choose(data: MatchingData, pairs: PairLog, config: MatchingConfig) -> Choice:
    """Return width, epochs and calibration as the validation cut says; defaults where there is too little of it."""
    cut = Cut.at(pairs, 1 - config.validation_share)
    if len(cut.later) < config.min_validation_rows:
        return Choice(width=config.widths[0], num_epochs=0, calibration=Calibration(), figures={})
    z_UZ = data.earlier.z_UZ if data.earlier and data.earlier.as_of <= cut.known.as_of else None
    trial = Trial(cut, z_UZ, config)
    trial.choose_width()
    trial.choose_epochs()
    return Choice(width=trial.width, num_epochs=trial.num_epochs, calibration=trial.calibration, figures=trial.figures)


class Trial:
    """The search on one cut: what is chosen so far, and the figures that it was chosen by."""

    def __init__(self, cut: Cut, z_UZ: Floats | None, config: MatchingConfig) -> None:
        self.cut, self.z_UZ, self.config = cut, z_UZ, config
        self.svd_ID = svd_items(cut.known, max(config.widths), config.seed)
        self.width, self.num_epochs = config.widths[0], 0
        self.calibration = Calibration()
        self.figures: dict[str, Any] = {}

    def choose_width(self) -> None:
        """Take the width whose untrained start does best after calibration."""
        best = -np.inf
        for width in self.config.widths:
            tower = started_tower(self._tower_config(width), self.cut.known, self.svd_ID)
            calibration, figures = self._calibrate(tower, Calibration())
            value = gain(figures, self.figures.get("start", figures))
            if value > best + (0.01 if self.figures else 0):
                best, self.width, self.calibration = value, width, calibration
            self.figures.setdefault("start", figures)
            self.figures[f"start_width_{width}"] = figures

    def choose_epochs(self) -> None:
        """Train on what was known at the cut until validation stalls, then calibrate at the best epoch."""
        best: dict[str, Any] = {"value": 1.0, "epoch": 0, "figures": self.figures[f"start_width_{self.width}"]}
        best["calibration"], reference = self.calibration, best["figures"]

        def after_epoch(epoch: int, tower: TwoTower) -> bool:
            calibration, figures = self._calibrate(tower, best["calibration"])
            self.figures[f"epoch_{epoch}"] = figures
            value = gain(figures, reference)
            _log.info("matching: epoch %d, validation %.4f of the start", epoch, value)
            if value > best["value"]:
                best.update(value=value, epoch=epoch, figures=figures, calibration=calibration)
            return bool(epoch - best["epoch"] < self.config.patience)

        tower = started_tower(self._tower_config(self.width), self.cut.known, self.svd_ID)
        training = replace(self.config.training, tower=tower.config)
        fit(tower, self.cut.known, training, self.config.max_epochs, self.config.seed, after_epoch)
        self.num_epochs, self.calibration = best["epoch"], best["calibration"]
        self.figures["chosen"] = best["figures"]

    def _calibrate(self, tower: TwoTower, start: Calibration) -> tuple[Calibration, dict[str, float]]:
        known = self.cut.known
        directions = user_directions(tower, known)
        scale = float(tower.scale.detach())
        items = tower.items().detach().numpy()
        recommend, target = sides(self.cut, scale * directions, items, self.config.seed)
        return calibrate(start, known, learned_terms(tower, known), recommend, target)

    def _tower_config(self, width: int) -> Any:
        return replace(self.config.training.tower, width=width)


def gain(figures: dict[str, float], reference: dict[str, float]) -> float:
    """Return the mean over the four figures of the ratio to a reference."""
    return float(np.mean([figures[name] / max(reference[name], 1e-9) for name in FIELDS]))


def learned_terms(tower: TwoTower, pairs: PairLog) -> Doubles:
    """Return float64[I]: what training added to log popularity in the item terms."""
    learned = tower.item_bias.detach().numpy().astype(np.float64)
    return np.asarray(learned - np.log(pairs.item_counts() + COUNT_OFFSET), np.float64)


def _train(pairs: PairLog, svd_ID: Floats, num_epochs: int, config: MatchingConfig, width: int) -> TwoTower:
    training = replace(config.training, tower=replace(config.training.tower, width=width))
    tower = started_tower(training.tower, pairs, svd_ID)
    if num_epochs:
        fit(tower, pairs, training, num_epochs, config.seed, lambda epoch, model: True)
    return tower
