"""Hold vectors against the `vectors` expectation suite before anything of them is visible."""

from __future__ import annotations

from serving_export.packed import unpack_ids
from serving_export.vectors import SpaceVectors
from training.settings import Settings


def validate_vectors(settings: Settings, space: SpaceVectors) -> None:
    """Run the `vectors` suite on a partition's embeddings and leave its data docs.

    Raises:
        ContractViolation: An expectation failed; the message points to the data docs.
    """
    import pandas as pd

    from training.validation.runner import require

    frame = pd.DataFrame(
        {
            "user_id": unpack_ids(space.user_ids),
            "space_id": space.space_id,
            "event_timestamp": pd.Timestamp(space.partition.as_of),
            "vector": list(space.vectors_UZ),
        }
    )
    facts = {"space_id": space.space_id, "width": space.vectors_UZ.shape[1], "num_users": len(space.user_ids)}
    require(settings, "vectors", frame, space.partition, **facts)
