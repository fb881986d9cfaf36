"""Join publishing to the parts of the library that it draws on, imported when they are first called."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from serving_export.consumers import consumer_vectors
from serving_export.continuity import require_continuity
from serving_export.lineage import describe_origin
from serving_export.overlay import OVERLAY
from serving_export.publish import publish
from serving_export.vectors import ConsumerVectors, SpaceVectors
from training.contracts.artefacts import ModelRef
from training.contracts.consumers import CONSUMERS
from training.contracts.partitions import Partition
from training.registry.pointer import Pointer, PublishedSnapshot
from training.settings import Settings

logger = logging.getLogger(__name__)


def _encode(settings: Settings, space_id: str, partition: Partition) -> tuple[Sequence[str], NDArray[Any]]:
    from training.representation.user_space import encode_partition

    users, vectors = encode_partition(settings, space_id, partition)
    return users, vectors


def _validate(settings: Settings, space: SpaceVectors) -> None:
    from serving_export.suite import validate_vectors

    validate_vectors(settings, space)


def _materialise(settings: Settings, entry: PublishedSnapshot) -> None:
    from serving_export.online import write_online

    write_online(settings, entry)


def _forget(settings: Settings, pointer: Pointer) -> None:
    from serving_export.online import forget_retired

    forget_retired(settings, pointer)


def _announce(settings: Settings, pointer: Pointer) -> None:
    from serving_export.champion import name_champions

    name_champions(settings, pointer)


def _carry(settings: Settings, entry: PublishedSnapshot) -> None:
    if not (settings.published_dir / OVERLAY).is_dir():
        return
    from serving_export.stream.carry import carry

    try:
        carry(settings, entry)
    except Exception as error:  # users are read as of the day until a worker follows; what is served comes first
        logger.warning("the overlay is not carried over to %s of %s: %s", entry.space_id, entry.partition, error)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The steps around publishing.

    Attributes:
        required: Consumers that a promotion waits for.
        encode: External ids [U] and float32 [U, Z] of a space as of a partition.
        consume: A consumer model's vectors as of a partition.
        validate: Raises ContractViolation for vectors that must not be served.
        materialise: Writes a published snapshot's vectors into the online store, under the key of their space.
        forget: Removes the online rows of spaces that are read no more.
        announce: Tells the model registry what is live.
        carry: Encodes over a snapshot that is about to be served those whose events its batch does not have.
    """

    required: tuple[str, ...] = tuple(CONSUMERS)
    encode: Callable[[Settings, str, Partition], tuple[Sequence[str], NDArray[Any]]] = _encode
    consume: Callable[[Settings, ModelRef, Partition], ConsumerVectors] = consumer_vectors
    validate: Callable[[Settings, SpaceVectors], None] = _validate
    materialise: Callable[[Settings, PublishedSnapshot], None] = _materialise
    forget: Callable[[Settings, Pointer], None] = _forget
    announce: Callable[[Settings, Pointer], None] = _announce
    carry: Callable[[Settings, PublishedSnapshot], None] = _carry


def write_snapshot(
    settings: Settings,
    sources: Sources,
    space_id: str,
    partition: Partition,
    models: Sequence[ModelRef],
    replaces: PublishedSnapshot | None = None,
) -> PublishedSnapshot:
    """Encode a partition with a space, validate, and write the snapshot with its consumers; nothing is served yet.

    Args:
        settings: Where state lives.
        sources: The steps around publishing.
        space_id: The space.
        partition: Whose users.
        models: The consumers' models.
        replaces: What is served now, whose users must go on being served; None where their loss was accepted.

    Raises:
        ContractViolation: The vectors must not be served, or users that are served would be lost.
        SpaceMismatch: A model was trained on another space.
    """
    user_ids, vectors_UZ = sources.encode(settings, space_id, partition)
    space = SpaceVectors.of(space_id, partition, list(user_ids), vectors_UZ)
    consumers = [sources.consume(settings, model, partition) for model in models]
    for consumer in consumers:
        if consumer.virtual_ids is not None and consumer.virtual_z is not None:
            space = space.imagined(consumer.virtual_ids, consumer.virtual_z)
    if replaces is not None:
        require_continuity(settings, space.user_ids, replaces)
    sources.validate(settings, space)
    return publish(settings, space, consumers, describe_origin(settings, space_id, partition, models))
