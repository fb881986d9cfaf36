"""Train, evaluate, judge and register a consumer model: the way that every consumer shares.

A recipe supplies a `Consumer`; what is stored, named, logged and recorded is the same for all. A model becomes a
candidate in the ledger only when its gate accepts it. That there is nothing to learn is kept in a model's place, by
what the log lacks.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from training.contracts.artefacts import Check, GateDecision, ModelRef
from training.contracts.consumers import CONSUMERS
from training.contracts.errors import AttuneError, MissingArtefact, SpaceMismatch
from training.contracts.partitions import Partition
from training.data.vocabulary import Vocabulary
from training.evaluation.gate import decide
from training.registry.ledger import OFFERED, Ledger
from training.settings import Settings
from training.storage import new_dir, write_json
from training.tracking.mlflow import RunRecord, log_run, set_alias

logger = logging.getLogger(__name__)
MANIFEST = "manifest.json"
EVALUATION = "evaluation.json"
NOT_APPLICABLE = "not_applicable"
"""The state of a model's place in the ledger, and what its evaluation says in place of checks."""
_STATES = {"accepted": "candidate", "refused": "rejected", "not applicable": NOT_APPLICABLE}


class SavedModel(Protocol):
    """A trained model that names its space and writes itself into an existing folder, equal models equal bytes."""

    @property
    def space_id(self) -> str:
        """The space whose vectors it reads."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model's files."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrainedConsumer:
    """What training leaves behind.

    Attributes:
        model: The model trained on everything up to the partition.
        checks: What its gate will say; made while training, on a cut inside the training period.
        metrics: Figures of the evaluation, flat.
        params: Configuration and choices, flat or nested.
        curves: One list of values per curve.
    """

    model: SavedModel
    checks: Sequence[Check]
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class NotApplicable:
    """Why a log gives a consumer nothing to learn from: what it lacks, in words that follow "not applicable: "."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class ConsumerSides:
    """What serving needs of a model: both sides as vectors, and which pairs have interacted already.

    Attributes:
        space_id: The space that the model reads, as the model itself says.
        users: Rankable users, one row of `user_vectors` each.
        items: Rankable items, one row of `item_vectors_ID` each.
        user_vectors: float32[U, D], the score of a pair being the inner product; or float32[U, K, D], the score being
            the largest of a user's K.
        item_vectors_ID: float32[I, D].
        user_idx, item_idx: int32[N], pairs that have interacted before the partition's `as_of`.
        virtual_idx: int64[n], rows of the users without history whose vector of the space this consumer imagines; None
            for a consumer that imagines none.
        virtual_z: float32[n, Z], those vectors.
    """

    space_id: str
    users: Vocabulary
    items: Vocabulary
    user_vectors: npt.NDArray[np.float32]
    item_vectors_ID: npt.NDArray[np.float32]
    user_idx: npt.NDArray[np.int32]
    item_idx: npt.NDArray[np.int32]
    virtual_idx: npt.NDArray[np.int64] | None = None
    virtual_z: npt.NDArray[np.float32] | None = None


class Consumer(Protocol):
    """One kind of model that reads the shared representation."""

    @property
    def name(self) -> str:
        """Name in folders, ledger, MLflow and DAG."""
        ...

    def train(
        self, settings: Settings, partition: Partition, space_id: str, champion: Path | None
    ) -> TrainedConsumer | NotApplicable:
        """Return the model of a partition on a space, judged against its baselines and its champion.

        A log that gives it nothing to learn from is no error: say what it lacks.

        Args:
            settings: Home and seed.
            partition: The newest data that may be known.
            space_id: The only space that may be read.
            champion: Folder of the model now in service; None without one.
        """
        ...

    def vectors(self, settings: Settings, folder: Path, partition: Partition) -> ConsumerSides:
        """Return the vectors that a stored model gives from what is known as of a partition.

        Raises:
            MissingArtefact: The model, or the data of the partition in its space, is not there.
        """
        ...


def consumer_named(name: str) -> Consumer:
    """Return the recipe of a consumer.

    Raises:
        AttuneError: No such consumer.
    """
    if name not in CONSUMERS:
        raise AttuneError(f"expected a consumer among {', '.join(CONSUMERS)}, found {name!r}")
    recipe: Consumer = importlib.import_module(f"training.consumers.{name}").CONSUMER
    return recipe


def train_consumer(settings: Settings, partition: Partition, consumer: Consumer, space_id: str) -> ModelRef:
    """Train and store a model, and log it to MLflow; equal inputs and seed give the same version.

    Where there is nothing to learn, the version names the reason that is kept in the model's place.

    Raises:
        SpaceMismatch: The recipe returned a model of another space.
    """
    trained = consumer.train(settings, partition, space_id, champion_folder(settings, consumer.name, partition))
    if isinstance(trained, NotApplicable):
        logger.info("%s is not applicable: %s", consumer.name, trained.reason)
        return _store_reason(settings, partition, consumer.name, space_id, trained)
    if trained.model.space_id != space_id:
        raise SpaceMismatch(space_id, trained.model.space_id, f"recipe of {consumer.name}", "train on the space asked")
    ref = _store(settings, partition, consumer.name, trained)
    _track(settings, ref, trained)
    logger.info("%s %s trained on space %s", consumer.name, ref.version, space_id)
    return ref


def gate_consumer(settings: Settings, partition: Partition, consumer: str, version: str) -> GateDecision:
    """Return whether a stored model may be promoted, and record the decision and the model's state.

    Raises:
        MissingArtefact: No such model.
        SpaceMismatch: The model's space is not that of the partition's candidate or of what is in service.
    """
    folder = settings.model_dir(consumer, version)
    ref = read_ref(folder)
    ledger = Ledger(settings)
    refuse_unknown_space(ledger, ref, folder)
    evaluation = json.loads((folder / EVALUATION).read_text(encoding="utf-8"))
    checks = [Check.from_dict(check) for check in evaluation.get("checks", ())]
    lacks = evaluation.get(NOT_APPLICABLE, "")
    decision = decide(settings, f"{consumer} {version}", partition, checks, lacks)
    ledger.record_gate(decision)
    ledger.record_model(ref, _STATES[decision.verdict])
    if decision.accepted:
        set_alias(settings, consumer, "challenger", version)
    return decision


def read_ref(folder: Path) -> ModelRef:
    """Return the reference in a model folder's manifest.

    Raises:
        MissingArtefact: No model lies there.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise MissingArtefact(f"expected a model at {folder}, found none; run train_consumer first")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    return ModelRef(**{name: manifest[name] for name in ("consumer", "version", "space_id", "partition")})


def refuse_unknown_space(ledger: Ledger, ref: ModelRef, folder: Path) -> None:
    """Raise SpaceMismatch when a model reads a space that never passed its gate.

    One that was retired meanwhile is no mistake of the consumer's: its day was overtaken, and promotes nothing.
    """
    usable = [space.space_id for space in ledger.spaces(*OFFERED, "live", "legacy")]
    if ref.space_id not in usable and ledger.space_state(ref.space_id) != "retired":
        offered = usable[-1] if usable else "none"
        raise SpaceMismatch(offered, ref.space_id, str(folder), f"train {ref.consumer} on a space that is offered")


def champion_folder(settings: Settings, consumer: str, partition: Partition) -> Path | None:
    """Return the folder of the model in service, None when there is none or it knows more than `partition`."""
    live = [ref for ref in Ledger(settings).models(consumer, "live") if ref.partition <= str(partition)]
    folder = settings.model_dir(consumer, live[-1].version) if live else None
    return folder if folder and (folder / MANIFEST).exists() else None


def _store(settings: Settings, partition: Partition, consumer: str, trained: TrainedConsumer) -> ModelRef:
    def write(draft: Path) -> None:
        trained.model.save(draft)
        evaluation = {"checks": [c.to_dict() for c in trained.checks], "metrics": dict(trained.metrics)}
        write_json(evaluation, draft / EVALUATION)

    return _store_draft(settings, partition, consumer, trained.model.space_id, write, trained.params)


def _store_reason(
    settings: Settings, partition: Partition, consumer: str, space_id: str, lack: NotApplicable
) -> ModelRef:
    def write(draft: Path) -> None:
        write_json({"space_id": space_id, NOT_APPLICABLE: lack.reason}, draft / EVALUATION)

    return _store_draft(settings, partition, consumer, space_id, write, {})


def _store_draft(
    settings: Settings,
    partition: Partition,
    consumer: str,
    space_id: str,
    write: Callable[[Path], None],
    params: Mapping[str, Any],
) -> ModelRef:
    models = settings.model_dir(consumer, "new").parent
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".draft.", dir=models) as name:
        draft = Path(name)
        write(draft)
        version = f"{partition.day:%Y%m%d}-{content_hash(draft)}"
        ref = ModelRef(consumer=consumer, version=version, space_id=space_id, partition=str(partition))
        write_json(ref.to_dict() | {"params": dict(params)}, draft / MANIFEST)
        target = settings.model_dir(consumer, version)
        if not target.exists():
            with new_dir(target) as folder:
                for path in draft.iterdir():
                    path.rename(folder / path.name)
    return ref


def content_hash(folder: Path) -> str:
    """Return 8 hex digits of the names and bytes of a folder's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:8]


def _track(settings: Settings, ref: ModelRef, trained: TrainedConsumer) -> None:
    record = RunRecord(
        model_name=ref.consumer,
        run_name=ref.version,
        params=trained.params,
        metrics=trained.metrics,
        curves=trained.curves,
        tags={"space_id": ref.space_id, "partition": ref.partition},
        files=settings.model_dir(ref.consumer, ref.version),
        register_files=True,
    )
    log_run(settings, record)
