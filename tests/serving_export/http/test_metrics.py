"""The metrics say per team what was asked and answered, and how old what is served is, with few labels."""

from __future__ import annotations

import multiprocessing
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from serving_export.http.app import build_app
from serving_export.http.metrics import Metrics
from serving_export.http.served import Served
from serving_export.http.tally import Tally
from tests.serving_export.http.conftest import Bearer
from tests.serving_export.world import DAY1, DAY2, World
from training.settings import Settings

Samples = dict[tuple[str, ...], float]


def samples(text: str) -> Samples:
    """Return each sample by its name and its labels' values, in order of the labels' names."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, *(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


def test_requests_keys_unknown_and_stale_by_team(world: World, bearer: Bearer) -> None:
    first, second = world.promote(DAY1, DAY2)
    client = TestClient(build_app(world.settings))
    search, ads = bearer("search"), bearer("ads")
    client.post("/embeddings", json={"user_ids": ["u01", "nobody"], "on_unknown": "null"}, headers=search)
    client.get("/recommend/u05", headers=search)
    client.get("/recommend/nobody", headers=ads)
    client.get("/recommend/nobody?on_unknown=null", headers=ads)
    client.get("/status")
    for scanned in range(50):
        client.get(f"/{scanned}.php", headers=search)
    answer = client.get("/metrics", headers=search)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = samples(answer.text)
    assert found["attune_keys_total", "search"] == 3
    assert found["attune_unknown_ids_total", "search"] == 1
    assert found["attune_unknown_ids_total", "ads"] == 2
    assert found["attune_stale_answers_total", "search"] == 2
    assert found["attune_requests_total", "POST", "/embeddings", "200", "search"] == 1
    assert found["attune_requests_total", "GET", "/recommend/{user_id:path}", "404", "ads"] == 1
    assert found["attune_requests_total", "GET", "/status", "401", "-"] == 1
    assert found["attune_requests_total", "GET", "unmatched", "404", "search"] == 50
    assert found["attune_request_seconds_count", "/embeddings", "search"] == 1
    assert found["attune_snapshot_opens_total", "opened"] == 1
    ages = {key[2]: value for key, value in found.items() if key[0] == "attune_served_age_seconds"}
    assert set(ages) == {first, second}
    assert all(age > 20 * 86400 for age in ages.values())
    assert not re.search(r"u0\d|nobody|php", answer.text)


def test_a_method_that_is_made_up_is_no_new_label(world: World) -> None:
    client = TestClient(build_app(world.settings))
    for name in ("FIRST", "SECOND"):
        client.request(name, "/healthz")
    found = samples(client.get("/metrics").text)
    assert found["attune_requests_total", "other", "/healthz", "405", "-"] == 2


def test_a_snapshot_that_cannot_be_opened_is_counted(world: World) -> None:
    client = TestClient(build_app(world.settings))
    client.get("/readyz")
    assert samples(client.get("/metrics").text)["attune_snapshot_opens_total", "failed"] == 1


def count(folder: Path, home: Path, num_requests: int, told: multiprocessing.Queue[Samples]) -> None:
    """Count requests in a process of its own, and tell what all have counted."""
    metrics, tally = Metrics(folder), Tally(team="search", keys=2)
    for _ in range(num_requests):
        metrics.answered(tally, "/embeddings", "POST", 200, 0.001)
    told.put(samples(metrics.text(Served(Settings.from_env({"ATTUNE_HOME": str(home)}))).decode()))


@pytest.mark.integration
def test_workers_count_together_and_one_in_another_s_place_counts_on(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[Samples] = spawn.Queue()
    for expected in (3, 6):  # one after the other: the second takes the first one's place
        worker = spawn.Process(target=count, args=(tmp_path, tmp_path, 3, told))
        worker.start()
        found = told.get(timeout=60)
        worker.join(60)
        assert found["attune_requests_total", "POST", "/embeddings", "200", "search"] == expected
        assert found["attune_keys_total", "search"] == 2 * expected
    assert len(list(tmp_path.glob("counter_*.db"))) == 1
