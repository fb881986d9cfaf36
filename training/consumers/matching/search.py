"""Train the matching model with every choice made on a validation cut of its own training period.

The cut is the last tenth of the log, or every user's last item. On the rest, width and calibration are chosen on the
untrained start, then the number of epochs by early stopping, then the calibration again; last, the same is trained on
the whole log.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Literal

from training.consumers.matching.initialisation import ItemStart, SpectrumName, continued_tower
from training.consumers.matching.model import MatchingModel, user_directions
from training.consumers.matching.train import MatchingTrainingConfig, fit
from training.consumers.matching.transitions import learn_successors
from training.consumers.matching.trial import Choice, Trial, Tried
from training.contracts.errors import AttuneError
from training.data.pair_log import PairLog
from training.ranking.calibration import Calibration, learned_terms
from training.ranking.cut import Cut
from training.ranking.dataset import RankingDataset
from training.ranking.evidence import CHAMPION, Evidence
from training.ranking.history_encoders import HistoryConfig
from training.ranking.space_directions import fit_z_map
from training.ranking.two_tower import TwoTower, TwoTowerConfig
from training.reproducible import deterministic

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class MatchingConfig:
    """What is fixed and what is searched.

    Attributes:
        training: How the towers learn.
        widths: Tower widths to choose among on the untrained start, ascending.
        decays: Weights of an item of the history relative to the next newer one, to choose among likewise; 1 is the
            plain mean. Only for the recency-weighted mean.
        spectra: Starts to choose among, and how much their directions say. Only where the log is factorised, not
            transitions.
        activity_powers: How much longer the direction of a longer history is, to choose among; the precision of a mean
            grows with the root of what it is of. Only where scores are weighed before training.
        successor_width: Columns of the chances that an item follows a user's newest ones, which validation may add to
            the score; 0 has none.
        max_epochs: Passes over the users at most; 0 keeps the untrained start.
        patience: Epochs without a better validation before stopping.
        first_validated: Epochs before it are not validated: under a rate that falls to nothing the last ones are best.
        validation: "newest" validates on the newest rows, "last_item" on every user's last, without z: a vector of the
            time before a user's last item is not kept for each user.
        validation_share: Share of rows, the newest, that validate.
        longer_horizons: Further shares, held out in turn, that the calibration is judged on beside the validation's.
        min_validation_rows: Fewer held-out rows than this choose and judge nothing: defaults are used and no epoch is
            trained.
        refit: Whether the choices are trained again on the whole log; otherwise the towers of the cut make one more
            pass, over all of it.
        seed: Seed of every draw.
    """

    training: MatchingTrainingConfig = field(default_factory=MatchingTrainingConfig)
    widths: tuple[int, ...] = (256,)
    decays: tuple[float, ...] = (0.85, 0.97, 1.0)
    spectra: tuple[SpectrumName, ...] = ("plain", "ridge", "squared", "cubed", "partial")
    activity_powers: tuple[float, ...] = (0.0, 0.5)
    successor_width: int = 0
    max_epochs: int = 4
    patience: int = 1
    first_validated: int = 1
    validation: Literal["newest", "last_item"] = "newest"
    validation_share: float = 0.1
    longer_horizons: tuple[float, ...] = (0.25,)
    min_validation_rows: int = 50
    refit: bool = True
    seed: int = 17

    @property
    def searched_decays(self) -> tuple[float, ...]:
        """Decays to choose among; the encoder's own where it is no recency-weighted mean."""
        history = self.training.tower.history
        return self.decays if history.encoder == "recency_mean" else (history.decay,)

    @property
    def searched_spectra(self) -> tuple[SpectrumName, ...]:
        """Spectra to choose among; the plain one where the start is made of transitions."""
        return ("plain",) if self.training.is_ordered else self.spectra

    @property
    def searched_powers(self) -> tuple[float, ...]:
        """Activity powers to choose among; none where training sets what the start is weighed by."""
        return (0.0,) if self.training.is_ordered else self.activity_powers

    def with_objective(self, objective: str | None, loss: str | None) -> MatchingConfig:
        """Return the configuration with another objective, and its loss for "pairs"; "next_item" brings its encoder.

        Raises:
            AttuneError: No such objective or loss, or a loss without "pairs".
        """
        objective = objective or (self.training.objective if loss is None else "pairs")
        if objective == "next_item" and loss is None:
            return replace(NEXT_ITEM, seed=self.seed)
        if loss is not None and objective != "pairs":
            raise AttuneError(
                f"expected a loss with objective pairs alone, found {loss!r} with {objective}; leave it out"
            )
        changes: dict[str, Any] = {"objective": objective, "pairs_loss": loss or self.training.pairs_loss}
        return replace(self, training=replace(self.training, **changes))


NEXT_ITEM = MatchingConfig(
    training=MatchingTrainingConfig(
        tower=TwoTowerConfig(
            temperature=0.1,
            history=HistoryConfig(encoder="self_attention", decay=0.8, max_length=200, num_heads=2, dropout=0.2),
            one_table=True,
        ),
        learning_rate=4e-3,
        max_candidates=512,
        objective="next_item",
        batch_users=32,
        schedule="cosine",
    ),
    widths=(64,),
    successor_width=256,
    max_epochs=20,
    patience=20,
    first_validated=16,
    validation="last_item",
    refit=False,
)
"""A sequence encoder trained event by event, for the next item of each user: recommendation alone."""


@dataclass(frozen=True, kw_only=True)
class TrainedMatching:
    """The model, what its gate judges it by, and the validation figures per epoch."""

    model: MatchingModel
    evidence: Evidence
    curves: dict[str, list[float]]


def train_matching(
    data: RankingDataset,
    config: MatchingConfig | None = None,
    warm_start: MatchingModel | None = None,
    since: int | None = None,
) -> MatchingModel:
    """Return the model trained on all of `data`, its choices made on the cut inside.

    Args:
        data: Interactions with the vectors of one space; no user vector later than the cut is used to validate.
        config: What is fixed and what is searched.
        warm_start: An earlier model of the same space: its choices are kept, and one pass is made over what is new.
        since: With `warm_start`, epoch seconds; rows that arrived from then on are new.

    Raises:
        SpaceMismatch: `warm_start` is of another space, which takes a full pass.
    """
    config = config or MatchingConfig()
    if warm_start is None:
        return search_and_train(data, config, None).model
    with deterministic(config.seed):
        return _continue(data, config, warm_start, since or 0)


def search_and_train(data: RankingDataset, config: MatchingConfig, rival: Choice | None) -> TrainedMatching:
    """Return the model and its evidence on the cut, beside popularity and, if given, a rival's choices on that cut.

    Args:
        data: Interactions with the vectors of one space.
        config: What is fixed and what is searched.
        rival: The champion's choices; they are trained on the same cut, so that neither has seen what it is judged on.
    """
    with deterministic(config.seed):
        return _search_and_train(data, config, rival)


def _search_and_train(data: RankingDataset, config: MatchingConfig, rival: Choice | None) -> TrainedMatching:
    pairs = data.pairs()
    is_last = config.validation == "last_item"
    cut = Cut.last_items(pairs) if is_last else Cut.at(pairs, 1 - config.validation_share)
    trial = _trial(data, cut, config)
    tried = _searched(trial, config)
    logger.info("matching: chose %s", asdict(tried.choice))
    is_anew = config.refit or not tried.choice.num_epochs
    tower = (_train_anew if is_anew else _train_on)(pairs, tried, config)
    facts = {"config": asdict(config), "validation": dict(tried.figures)}
    model = _as_model(data, pairs, tower, tried.choice, config.seed, facts)
    rivals = {} if rival is None else {CHAMPION: partial(trial.vectors_of, rival)}
    served = model.user_vectors(data), model.item_vectors()
    evidence = Evidence.on(cut, partial(trial.vectors, tried), rivals, served, config.min_validation_rows)
    return TrainedMatching(model=model, evidence=evidence, curves=tried.curves())


def choice_of(model: MatchingModel) -> Choice:
    """Return the choices that a model was trained by."""
    described = model.facts["choice"]
    return Choice(**{**described, "calibration": Calibration(**described["calibration"])})


def _trial(data: RankingDataset, cut: Cut, config: MatchingConfig) -> Trial:
    is_by_time = config.validation == "newest"
    z_UZ = data.known_before(cut.known.as_of) if is_by_time else None
    horizons = config.longer_horizons if is_by_time and _is_enough(cut, config) else ()
    others = [Cut.at(data.pairs(), 1 - share) for share in horizons]
    return Trial(cut, z_UZ, config.training, max(config.widths), config.seed, others)


def _searched(trial: Trial, config: MatchingConfig) -> Tried:
    tried = trial.untrained()
    if not _is_enough(trial.cut, config):
        return tried
    tried = trial.with_start(
        tried, config.widths, config.searched_decays, config.searched_spectra, config.searched_powers
    )
    tried = trial.with_epochs(tried, config.max_epochs, config.patience, config.first_validated)
    tried = trial.with_successors(tried, config.successor_width)
    return trial.with_z_share(tried)


def _is_enough(cut: Cut, config: MatchingConfig) -> bool:
    return len(cut.later) >= config.min_validation_rows


def _train_anew(pairs: PairLog, tried: Tried, config: MatchingConfig) -> TwoTower:
    choice = tried.choice
    training = choice.applied_to(config.training)
    start = ItemStart(pairs, choice.width, config.seed, ordered=training.is_ordered)
    tower = start.tower(training.tower, choice.spectrum)
    if choice.num_epochs:
        fit(tower, pairs, training, choice.num_epochs, config.seed, lambda epoch, model: True)
    return tower


def _train_on(pairs: PairLog, tried: Tried, config: MatchingConfig) -> TwoTower:
    """Return the towers of the cut after one more pass, over everything."""
    tower = copy.deepcopy(tried.tower)
    training = tried.choice.applied_to(config.training).continued()
    fit(tower, pairs, training, 1, config.seed, lambda epoch, model: True)
    return tower


def _as_model(
    data: RankingDataset, pairs: PairLog, tower: TwoTower, choice: Choice, seed: int, facts: dict[str, Any]
) -> MatchingModel:
    return MatchingModel(
        space_id=data.space_id,
        items=data.items,
        tower=tower,
        calibration=choice.calibration,
        item_terms_I=choice.calibration.item_terms(pairs, learned_terms(tower.item_bias, pairs)),
        z_map_ZD=fit_z_map(data.z_UZ, user_directions(tower, pairs)),
        successors=learn_successors(pairs, choice.successor_width, seed),
        facts={"choice": asdict(choice), **facts},
    )


def _continue(data: RankingDataset, config: MatchingConfig, start: MatchingModel, since: int) -> MatchingModel:
    start.refuse_other_space(data.space_id)
    pairs = data.pairs()
    choice = choice_of(start)
    training = replace(choice.applied_to(config.training), tower=start.tower.config).continued()
    tower = continued_tower(start.tower, start.items.encode(data.items.ids, unknown="ignore"), pairs)
    fit(tower, pairs, training, 1, config.seed, lambda epoch, model: True, since=since)
    facts = {key: start.facts[key] for key in start.facts if key != "choice"}
    return _as_model(data, pairs, tower, choice, config.seed, facts)
