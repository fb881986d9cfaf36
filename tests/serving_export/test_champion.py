"""MLflow names as champion what the pointer serves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from serving_export.champion import ENCODER, find_run, name_champions
from tests.serving_export.world import DAY1, DAY2, World
from training.registry.pointer import read_pointer
from training.settings import Settings


@pytest.mark.integration
def test_champion_follows_the_pointer(
    world: World, fresh_mlflow: Callable[[Settings], Settings], caplog: pytest.LogCaptureFixture
) -> None:
    from training.tracking.mlflow import aliases, tracking_client

    fresh_mlflow(world.settings)
    first, second = world.promote(DAY1, DAY2)
    pointer = read_pointer(world.settings.published_dir)
    with tracking_client(world.settings) as client:
        client.create_registered_model(ENCODER)
        for space_id in (first, second):
            run = client.create_run("0", run_name=space_id)
            version = client.create_model_version(ENCODER, f"runs:/{run.info.run_id}/encoder", run.info.run_id)
            client.set_model_version_tag(ENCODER, version.version, "run_name", space_id)
    assert name_champions(world.settings, pointer) == {ENCODER: "2"}
    assert aliases(world.settings, ENCODER) == {"champion": second}
    assert f"no version {pointer.live.versions['matching']} of matching" in caplog.text
    assert find_run(world.settings, second)["run_id"] == run.info.run_id
    assert find_run(world.settings, "20260101-00000000") == {}
