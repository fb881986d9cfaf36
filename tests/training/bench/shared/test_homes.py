"""A benchmark's home is its own."""

from training.bench.shared.homes import own_home
from training.settings import Settings


def test_everything_lies_below_the_callers_home(tmp_path):
    outer = Settings.from_env({"ATTUNE_HOME": str(tmp_path), "ATTUNE_SEED": "5", "ATTUNE_ONLINE_STORE": "redis://h:1"})
    inner = own_home(outer, "spaces", "x")
    assert inner.home == tmp_path / "bench" / "spaces" / "x"
    for url in (inner.database_url, inner.registry_url, inner.mlflow_uri):
        assert str(inner.home) in url
    assert inner.online_store == "sqlite"
    assert inner.seed == 5
