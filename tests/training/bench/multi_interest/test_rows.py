from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.ranking.world import two_tastes
from training.bench.multi_interest.problems import InterestProblem, Truth
from training.bench.multi_interest.report import interest_table
from training.bench.multi_interest.rows import InterestRow, StudyConfig, interest_rows, of_several
from training.bench.multi_interest.variants import FULL
from training.bench.shared.cache import Cache
from training.consumers.multi_interest.network import MultiInterestConfig
from training.consumers.multi_interest.train import MultiInterestTrainingConfig
from training.ranking.cut import Cut

STUDY = StudyConfig(seeds=(1, 2), max_epochs=2, patience=1)
SMALL = MultiInterestTrainingConfig(towers=MultiInterestConfig(num_interests=2, width=4, hidden=4), block_users=32)
TWO = {FULL: SMALL, "K = 1": replace(SMALL, towers=replace(SMALL.towers, num_interests=1))}


def _problem(*, refit: bool = True) -> InterestProblem:
    pairs = two_tastes().pairs()
    test = Cut.at(pairs, 0.8)
    validation = Cut.at(test.known, 0.9)
    groups = np.arange(60) % 2
    return InterestProblem(
        data="toy",
        protocol="temporal",
        content_hash="0" * 12,
        learn_from=validation.known,
        validation=validation,
        test=test,
        refit=test.known if refit else None,
        features_IE=np.zeros((40, 1), np.float32),
        truth=Truth(np.repeat(np.eye(2, dtype=bool)[groups], [2, 1], axis=1), np.repeat([0, 1, 2, 2], 10)),
    )


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[InterestRow]:
    return interest_rows(_problem(), Cache(tmp_path_factory.mktemp("cache")), STUDY, TWO)


def test_a_row_tells_every_user_and_every_seed(rows: list[InterestRow]) -> None:
    full = rows[0]
    users = np.unique(_problem().test.later.user_idx)
    assert len(full.ndcg) == len(full.num_interests) == len(users)
    assert full.metrics["ndcg@20"] == pytest.approx(np.mean(full.ndcg))
    assert len(full.num_epochs) == len(full.seed_ndcg) == 2
    assert np.mean(full.seed_ndcg) == pytest.approx(full.metrics["ndcg@20"])
    assert sum(full.win_shares) == pytest.approx(1.0)
    assert rows[1].metrics["cosine"] == 1.0
    assert set(full.num_interests) == {1, 2}
    assert full.metrics["recall@50"] >= full.metrics["recall@20"]
    assert len(of_several(full, "coverage")) == 0


def test_rows_are_kept(rows: list[InterestRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path)
    first = interest_rows(_problem(refit=False), cache, STUDY, {FULL: SMALL})
    monkeypatch.setattr("training.bench.multi_interest.rows._measure", lambda *_: pytest.fail("computed anew"))
    assert interest_rows(_problem(refit=False), cache, STUDY, {FULL: SMALL}) == first


def test_a_process_of_its_own_gives_the_same_row(rows: list[InterestRow], tmp_path: Path) -> None:
    assert interest_rows(_problem(), Cache(tmp_path), STUDY, {FULL: SMALL}, workers=2) == rows[:1]


def test_the_table_states_differences_with_intervals(rows: list[InterestRow]) -> None:
    lines = interest_table("toy", "temporal", rows, STUDY, seed=0).splitlines()
    assert lines[0] == f"**toy**, protocol temporal, {len(rows[0].ndcg)} test users, 2 seeds"
    assert "recall/interest" in lines[2]
    cells = [cell.strip() for cell in lines[4].split("|")[1:-1]]
    assert cells[0] == FULL
    assert cells[7] == "–"
    difference = rows[1].metrics["ndcg@20"] - rows[0].metrics["ndcg@20"]
    assert lines[5].split("|")[8].strip().startswith(f"{difference:+.4f} [")
    assert any(line.startswith("- K = 1: ") for line in lines)
