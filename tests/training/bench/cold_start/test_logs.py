from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.bench.cold_start.world import NUM_USERS, write_folder
from training.bench.cold_start.logs import read_attributes, simulated_attributes
from training.bench.shared.simulated import simulated_log
from training.contracts.errors import MissingArtefact
from training.ingest.simulator import SimulatorConfig
from training.ingest.world import WorldConfig
from training.settings import Settings


def test_movielens_attributes_are_banded_and_crossed(tmp_path: Path) -> None:
    found = read_attributes(write_folder(tmp_path))
    assert len(found.values) == NUM_USERS
    expected = ["age_band=25-34", "gender=F", "occupation=writer", "region=9", "gender|age_band=F|25-34"]
    assert list(found.values[1]) == expected
    assert list(found.picks[1]) == []
    assert found.groups[2] == "M|25-34"
    assert found.groups[3] == "F|18-24"


def test_the_larger_set_has_another_file_and_its_codes_are_bands(tmp_path: Path) -> None:
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    found = read_attributes(tmp_path)
    assert "age_band=under 18" in found.values[1]
    assert "age_band=56+" in found.values[2]


def test_the_hash_follows_the_content(tmp_path: Path) -> None:
    first = read_attributes(write_folder(tmp_path / "a"))
    path = write_folder(tmp_path / "b") / "ml.user"
    assert read_attributes(tmp_path / "b").content_hash == first.content_hash
    path.write_text(path.read_text().replace("writer", "artist", 1))
    assert read_attributes(tmp_path / "b").content_hash != first.content_hash


def test_a_folder_without_attributes_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact, match=r"\*\.user or users\.dat"):
        read_attributes(tmp_path)


def test_simulated_users_bring_their_newest_profile_and_picks(tmp_path: Path) -> None:
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    config = SimulatorConfig(world=WorldConfig(num_users=40, num_items=30, num_days=5, num_clusters=4))
    log, home = simulated_log(settings, config)
    found = simulated_attributes(home, log)
    assert set(found.values) == set(log.frame["user_id"])
    assert any(found.picks.values())
    assert any("onboarding_category=" in value for values in found.values.values() for value in values)
    assert not any(str(user) in value for user, values in found.values.items() for value in values)
