"""The real expectation suite accepts good vectors and refuses bad ones, with data docs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving_export.suite import validate_vectors
from serving_export.vectors import SpaceVectors
from tests.serving_export.world import DAY1, World
from training.contracts.errors import ContractViolation


@pytest.mark.integration
def test_vectors_of_zeros_are_refused_and_others_pass(world: World) -> None:
    space_id = "20261101-aaaaaaaa"
    space = SpaceVectors.of(space_id, DAY1, *world.encode(world.settings, space_id, DAY1))
    validate_vectors(world.settings, space)
    assert list((world.settings.reports_dir / "data_docs").rglob("index.html"))
    with pytest.raises(ContractViolation, match="norm"):
        validate_vectors(world.settings, replace(space, vectors_UZ=np.zeros_like(space.vectors_UZ)))
