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
from serving_export.packed import pack_ids
from serving_export.publish import publish
from serving_export.vectors import ConsumerVectors, FrameVectors, SpaceVectors
from training.contracts.artefacts import GateDecision, ModelRef
from training.contracts.consumers import CONSUMERS
from training.contracts.partitions import Partition
from training.registry.pointer import Pointer, PublishedSnapshot
from training.settings import Settings

logger = logging.getLogger(__name__)


def _encode(settings: Settings, space_id: str, partition: Partition) -> tuple[Sequence[str], NDArray[Any]]:
    from training.representation.user_space import ensure_embeddings, read_embedding_file

    return read_embedding_file(ensure_embeddings(settings, space_id, partition))


def _validate(settings: Settings, space: SpaceVectors) -> None:
    from serving_export.suite import validate_vectors

    validate_vectors(settings, space)


def _materialise(settings: Settings, entry: PublishedSnapshot, slot: str) -> None:
    from serving_export.online import write_online

    write_online(settings, entry, slot)


def _begin_frame(settings: Settings, space_id: str, partition: Partition) -> str:
    from training.representation.frame_step import begin_frame

    return begin_frame(settings, space_id, partition)


def _bring_into_frame(settings: Settings, frame_id: str, space_id: str) -> GateDecision:
    from training.representation.frame_step import bring_into_frame

    return bring_into_frame(settings, frame_id, space_id)


def _turn(settings: Settings, frame_id: str, space_id: str, partition: Partition) -> FrameVectors:
    from training.representation.frame_step import framed_space

    found = framed_space(settings, frame_id, space_id, partition)
    return FrameVectors(
        frame_id=frame_id,
        rotation_ZZ=found.space_map.rotation,
        centre_Z=found.space_map.centre_new,
        origin_Z=found.space_map.centre_old,
        item_ids=pack_ids(found.item_ids, "item_id"),
        item_vectors=found.item_vectors,
        about=dict(found.figures),
    )


def _forget(settings: Settings, pointer: Pointer) -> None:
    from serving_export.online import forget_retired

    forget_retired(settings, pointer)


def _forget_slot(settings: Settings, slot: str) -> None:
    from training.contracts.columns import USER_EMBEDDING
    from training.data.online.space_rows import forget_spaces

    forget_spaces(settings, USER_EMBEDDING.name, [slot])


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
        materialise: Writes a published snapshot's vectors into the online store, under the key of their space, or
            framed under that of their frame.
        forget: Removes the online rows of spaces that are read no more.
        forget_slot: Removes the online vectors under one key.
        announce: Tells the model registry what is live.
        begin_frame: Freezes a frame that begins with a space as of a partition, and names it.
        bring_into_frame: Whether a space is carried in a frame.
        turn: What turns a space that is carried in a frame into it, with its items as of a partition.
        carry: Encodes over a snapshot that is about to be served those whose events its batch does not have.
    """

    required: tuple[str, ...] = tuple(CONSUMERS)
    encode: Callable[[Settings, str, Partition], tuple[Sequence[str], NDArray[Any]]] = _encode
    consume: Callable[[Settings, ModelRef, Partition], ConsumerVectors] = consumer_vectors
    validate: Callable[[Settings, SpaceVectors], None] = _validate
    materialise: Callable[[Settings, PublishedSnapshot, str], None] = _materialise
    forget: Callable[[Settings, Pointer], None] = _forget
    forget_slot: Callable[[Settings, str], None] = _forget_slot
    announce: Callable[[Settings, Pointer], None] = _announce
    begin_frame: Callable[[Settings, str, Partition], str] = _begin_frame
    bring_into_frame: Callable[[Settings, str, str], GateDecision] = _bring_into_frame
    turn: Callable[[Settings, str, str, Partition], FrameVectors] = _turn
    carry: Callable[[Settings, PublishedSnapshot], None] = _carry


def write_snapshot(
    settings: Settings,
    sources: Sources,
    space_id: str,
    partition: Partition,
    models: Sequence[ModelRef],
    replaces: PublishedSnapshot | None = None,
    frame: FrameVectors | None = None,
) -> PublishedSnapshot:
    """Encode a partition with a space, validate, and write the snapshot with its consumers; nothing is served yet.

    Args:
        settings: Where state lives.
        sources: The steps around publishing.
        space_id: The space.
        partition: Whose users.
        models: The consumers' models.
        replaces: What is served now, whose users must go on being served; None where their loss was accepted.
        frame: A frame that the vectors are turned into besides; None for none.

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
    return publish(settings, space, consumers, describe_origin(settings, space_id, partition, models), frame)
