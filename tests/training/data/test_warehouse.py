"""Facts and snapshots of the small log, whose right answers are read off its docstring."""

import hashlib
import shutil
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.training.data.conftest import Built
from tests.training.data.landed_logs import at, event, land, land_small_log, settings_at
from training.contracts.columns import DBT_FEATURES, INTERACTIONS
from training.contracts.errors import AttuneError, MissingArtefact
from training.contracts.partitions import Partition
from training.data import warehouse
from training.settings import Settings
from training.storage import PART, arrow_schema

pytestmark = pytest.mark.integration
DAY1, DAY2, DAY3 = (Partition.parse(f"2026-01-0{day}") for day in (1, 2, 3))


def rows(config: Settings, table: str, partition: Partition) -> dict[str, dict]:
    contract = INTERACTIONS if table == "interactions" else DBT_FEATURES[table]
    found = pq.read_table(config.features_dir(table, partition) / PART, partitioning=None)
    assert found.schema.equals(arrow_schema(contract))
    return {row[contract.key[0]]: row for row in found.to_pylist()}


def digest(config: Settings) -> dict[str, str]:
    """Return the hash of every exported file by its path below the home."""
    files = sorted((config.home / "features").rglob("*.parquet"))
    return {str(f.relative_to(config.home)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def transform(config: Settings, partition: Partition) -> None:
    warehouse.build(config, partition)
    warehouse.export_features(config, partition)


class TestFacts:
    def test_each_arrival_day_has_a_file_even_one_without_rows(self, built: Built) -> None:
        counts = [len(rows(built.settings, "interactions", day)) for day in (DAY1, DAY2, DAY3)]
        assert counts == [77, 0, 1]

    def test_a_redelivered_event_counts_on_its_first_day_and_a_bot_never(self, built: Built) -> None:
        assert "p-00" in rows(built.settings, "interactions", DAY1)
        assert set(rows(built.settings, "interactions", DAY3)) == {"late-01"}

    def test_facts_carry_weight_session_and_arrival(self, built: Built) -> None:
        purchase = rows(built.settings, "interactions", DAY1)["p-00"]
        assert purchase["weight"] == 3.0
        assert purchase["session_key"] == "u00:2026-01-01#2"
        assert purchase["arrived_at"] == at("2026-01-01")

    def test_facts_are_sorted_by_time_user_and_event(self, built: Built) -> None:
        found = list(rows(built.settings, "interactions", DAY1).values())
        order = [(row["occurred_at"], row["user_id"], row["event_id"]) for row in found]
        assert order == sorted(order)


class TestSnapshots:
    def test_hold_every_user_known_as_of_the_partition(self, built: Built) -> None:
        expected = {"silent", *(f"u{u:02}" for u in range(38))}
        for table in ("user_profile", "user_activity", "user_history"):
            assert set(rows(built.settings, table, DAY1)) == expected

    def test_an_item_that_was_only_interacted_with_is_known(self, built: Built) -> None:
        assert set(rows(built.settings, "item_profile", DAY1)) == {"i0", "i1"}
        late = rows(built.settings, "item_profile", DAY3)["i2"]
        assert (late["category"], late["attributes"]) == ("unknown", [])

    def test_profile_of_a_silent_user(self, built: Built) -> None:
        silent = rows(built.settings, "user_profile", DAY3)["silent"]
        assert silent["country"] == "unknown"
        assert silent["tenure_days"] == 3
        assert silent["onboarding_item_ids"] == ["i0"]
        assert silent["event_timestamp"] == DAY3.as_of

    def test_activity_counts_by_window(self, built: Built) -> None:
        first = rows(built.settings, "user_activity", DAY1)["u00"]
        later = rows(built.settings, "user_activity", DAY3)["u00"]
        assert (first["count_view_1d"], first["count_purchase_1d"], first["count_events_all"]) == (2, 1, 3)
        assert (later["count_view_1d"], later["count_view_7d"], later["count_events_all"]) == (0, 2, 3)
        assert later["recency_days"] == pytest.approx(2 + 11 / 24, abs=1e-6)
        assert first["category_entropy_180d"] == pytest.approx(0.636514, abs=1e-6)

    def test_a_late_event_enters_with_its_arrival_day_alone(self, built: Built) -> None:
        assert rows(built.settings, "user_activity", DAY1)["u01"]["count_like_7d"] == 0
        assert rows(built.settings, "user_activity", DAY3)["u01"]["count_like_7d"] == 1

    def test_history_is_oldest_first(self, built: Built) -> None:
        history = rows(built.settings, "user_history", DAY3)["u00"]
        assert history["history_item_ids"] == ["i0", "i1", "i1"]
        assert history["history_event_types"] == ["view", "view", "purchase"]
        assert history["history_occurred_at"][-1] == at("2026-01-01T13:00:00")

    def test_popularity_counts_interactions_and_users(self, built: Built) -> None:
        popular = rows(built.settings, "item_popularity", DAY3)["i1"]
        assert (popular["count_interactions_1d"], popular["count_interactions_7d"]) == (0, 39)
        assert (popular["count_interactions_all"], popular["count_users_all"]) == (39, 38)


class TestAnyOrder:
    @settings(
        max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
    )
    @given(order=st.lists(st.sampled_from([DAY1, DAY2, DAY3]), min_size=2, max_size=2))
    def test_any_order_and_repetition_ends_with_the_same_bytes(
        self, order: list[Partition], built: Built, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        config = settings_at(tmp_path_factory.mktemp("order"))
        land_small_log(config)
        for partition in (*order, *(day for day in (DAY3, DAY1) if day not in order)):
            transform(config, partition)
        expected, found = digest(built.settings), digest(config)
        assert {path: found[path] for path in expected} == expected
        shutil.rmtree(config.home)

    def test_moving_events_past_as_of_changes_nothing_before(self, built: Built, tmp_path: Path) -> None:
        config = settings_at(tmp_path)
        land_small_log(config)
        land(config, "interactions", "2026-01-02", [event("new", "newcomer", "i9", "2026-01-02T00:00:00")])
        transform(config, DAY3)
        transform(config, DAY1)
        expected = {path: value for path, value in digest(built.settings).items() if "2026-01-01" in path}
        assert {path: digest(config)[path] for path in expected} == expected
        assert "newcomer" in rows(config, "user_profile", DAY3)


class TestChangedInput:
    def test_an_older_day_that_lands_anew_is_built_again_and_others_are_not(self, tmp_path: Path) -> None:
        config = settings_at(tmp_path)
        land_small_log(config)
        transform(config, DAY3)
        assert warehouse.build(config, DAY3).num_days == 0
        land(config, "interactions", "2026-01-02", [event("p-02", "u02", "i1", "2026-01-02T08:00:00", "purchase")])
        report = warehouse.build(config, DAY3)
        assert (report.first_day, report.num_days) == ("2026-01-02", 2)
        warehouse.export_features(config, DAY3)
        assert rows(config, "user_activity", DAY3)["u02"]["count_purchase_7d"] == 1
        assert set(rows(config, "interactions", DAY2)) == {"p-02"}

    def test_a_bulk_range_gives_what_single_days_give(self, built: Built, tmp_path: Path) -> None:
        config = settings_at(tmp_path)
        land_small_log(config)
        far = Partition.parse("2026-01-20")
        assert warehouse.build(config, far).num_days == 20
        warehouse.export_features(config, far)
        days = {path: value for path, value in digest(built.settings).items() if "interactions" in path}
        assert {path: digest(config)[path] for path in days} == days


class TestCopiedHome:
    def test_reads_its_own_landed_days_though_none_has_changed(self, built: Built, tmp_path: Path) -> None:
        shutil.copytree(built.settings.home, tmp_path / "original")
        original = settings_at(tmp_path / "original")
        transform(original, built.last)
        copied = settings_at(Path(shutil.copytree(original.home, tmp_path / "copied")))
        before = digest(copied)
        shutil.rmtree(original.home)
        transform(copied, built.last)
        assert digest(copied) == before
        with duckdb.connect(str(copied.warehouse_path), read_only=True) as connection:
            views = connection.sql("select sql from duckdb_views() where view_name like 'stg_logs__%'").fetchall()
        assert len(views) == 3
        assert not any(str(original.home) in sql for (sql,) in views)


class TestRefusals:
    def test_a_failing_test_names_test_model_and_rows(self, tmp_path: Path) -> None:
        config = settings_at(tmp_path)
        land(config, "items", "2026-01-01", [{"item_id": "i0"}])
        land(config, "interactions", "2026-01-01", [event("e", "u", "i0", "2026-01-01T10:00:00")])
        path = config.landed_dir("items") / "dt=2026-01-01" / PART
        broken = pq.read_table(path, partitioning=None).set_column(0, "item_id", [[None]])
        pq.write_table(broken.cast(broken.schema), path)
        with pytest.raises(AttuneError, match=r"no row to fail dbt test not_null_\S+ on stg_logs__items, found 1") as e:
            warehouse.build(config, DAY1)
        assert "\n" not in str(e.value)
        with pytest.raises(MissingArtefact, match="found none"):
            warehouse.export_features(config, DAY1)

    def test_export_refuses_another_partition_than_the_one_built(self, built: Built) -> None:
        with pytest.raises(MissingArtefact, match=f"snapshot of {DAY1}, found {DAY3}"):
            warehouse.export_features(built.settings, DAY1)
