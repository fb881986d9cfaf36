from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.settings import Settings, without_credentials


def test_two_homes_share_no_path_and_no_database(tmp_path: Path) -> None:
    one, two = (Settings.from_env({"ATTUNE_HOME": str(tmp_path / name)}) for name in ("one", "two"))
    assert one.warehouse_path != two.warehouse_path
    for settings, other in ((one, two), (two, one)):
        for url in (settings.database_url, settings.registry_url, settings.mlflow_uri):
            assert str(settings.home) in url
            assert str(other.home) not in url


def test_a_relative_home_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_env({"ATTUNE_HOME": "state"}).home == tmp_path / "state"


def test_pooled_snapshots_name_their_item_space() -> None:
    settings, partition = Settings.from_env({}), Partition.parse("2026-11-05")
    path = settings.features_dir("user_taste", partition, "20261101-00aa11bb")
    assert path.parts[-3:] == ("user_taste", "item_space=20261101-00aa11bb", "dt=2026-11-05")
    assert settings.features_dir("user_profile", partition).parts[-2:] == ("user_profile", "dt=2026-11-05")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ATTUNE_QUARANTINE_MAX_SHARE", "1.5"),
        ("ATTUNE_QUARANTINE_MAX_SHARE", "few"),
        ("ATTUNE_RETRAIN_EVERY_DAYS", "0"),
        ("ATTUNE_RETRAIN", "sometimes"),
        ("ATTUNE_ONLINE_WRITER", "redis"),
        ("ATTUNE_ARRIVAL_MARKER", "done/_SUCCESS"),
        ("ATTUNE_EVENT_KEY", "day"),
        ("ATTUNE_REQUEST_RATE", "many"),
        ("ATTUNE_REQUEST_RATE", "0/minute"),
        ("ATTUNE_ID_QUOTA", "10/fortnight"),
        ("ATTUNE_LIMITS_STORE", "memcached://x"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(name: str, value: str) -> None:
    with pytest.raises(AttuneError, match=name):
        Settings.from_env({name: value})


def test_snapshots_are_written_in_bulk_unless_feast_is_asked_for() -> None:
    found = [Settings.from_env({"ATTUNE_ONLINE_WRITER": value}).online_writer for value in ("", "bulk", "feast")]
    assert found == ["bulk", "bulk", "feast"]


def test_keys_lie_in_the_home_unless_they_are_named(tmp_path: Path) -> None:
    home = {"ATTUNE_HOME": str(tmp_path)}
    assert Settings.from_env(home).access_path == tmp_path / "access.json"
    named = Settings.from_env({**home, "ATTUNE_ACCESS_FILE": str(tmp_path / "keys")})
    assert named.access_path == named.access_file == tmp_path / "keys"


def test_settings_cannot_be_changed_after_reading() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings.from_env({}).seed = 1  # type: ignore[misc]


def test_an_address_is_said_without_user_and_password() -> None:
    assert without_credentials("redis://attune:a@b@valkey:6379/3") == "redis://valkey:6379/3"
    assert without_credentials("redis://valkey:6379") == "redis://valkey:6379"
    assert Settings.from_env({"ATTUNE_ONLINE_STORE": "redis://a:b@v:1"}).online_store_name == "redis://v:1"
    assert Settings.from_env({}).online_store_name == "sqlite"
