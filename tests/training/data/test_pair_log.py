from __future__ import annotations

import numpy as np

from training.data.pair_log import PairLog

DAY = 86_400


def log_of(*rows: tuple[int, int, int], num_users: int = 3, num_items: int = 4) -> PairLog:
    columns = np.array(rows, np.int64).reshape(-1, 3)
    last = int(columns[:, 2].max(initial=0))
    return PairLog(
        user_idx=columns[:, 0],
        item_idx=columns[:, 1],
        occurred_at=columns[:, 2],
        num_users=num_users,
        num_items=num_items,
        as_of=last + DAY,
    )


LOG = log_of((0, 1, 10), (1, 1, 20), (0, 2, 30), (0, 1, 40), (1, 3, 40))


def test_a_log_of_any_integers_is_known_until_just_after_its_last_row() -> None:
    columns = np.array([0, 1], np.int32), np.array([2, 0], np.uint8), np.array([5, 9], np.int32)
    log = PairLog.of(*columns, num_users=2, num_items=3)
    assert (log.as_of, PairLog.of(*columns, 2, 3, as_of=30).as_of) == (10, 30)
    assert {log.user_idx.dtype, log.item_idx.dtype, log.occurred_at.dtype} == {np.dtype(np.int64)}


def test_distinct_keeps_the_last_of_a_pair_in_time_order() -> None:
    distinct = LOG.distinct()
    assert list(zip(distinct.user_idx, distinct.item_idx, distinct.occurred_at, strict=True)) == [
        (1, 1, 20), (0, 2, 30), (0, 1, 40), (1, 3, 40),
    ]  # fmt: skip


def test_when_a_row_arrived_goes_with_it_whatever_is_taken() -> None:
    arrived = np.array([10, 20, 30, 90, 40])
    late = PairLog.of(LOG.user_idx, LOG.item_idx, LOG.occurred_at, 3, 4, LOG.as_of, arrived)
    for taken in (late.distinct(), late.since(30), late.where(late.user_idx == 0)):
        rows = zip(taken.user_idx, taken.item_idx, taken.occurred_at, taken.arrived_at, strict=True)  # type: ignore[arg-type]
        assert {row[3] for row in rows if row[:3] == (0, 1, 40)} == {90}
    histories = late.histories()
    assert histories.arrived_at.tolist() == [10, 30, 90, 20, 40]
    assert histories.users_since(41).tolist() == [0]
    assert histories.users_since(35).tolist() == [0, 1]
    assert histories.users_since(91).tolist() == []
    assert LOG.histories().arrived_at.tolist() == LOG.histories().occurred_at.tolist()


def test_a_cut_divides_at_its_second() -> None:
    assert LOG.before(30).occurred_at.tolist() == [10, 20]
    assert LOG.since(30).occurred_at.tolist() == [30, 40, 40]
    assert LOG.before(30).as_of == 30


def test_an_instant_never_divides_a_tie() -> None:
    assert LOG.instant_at(0.8) == 41
    assert len(LOG.since(LOG.instant_at(0.8))) == 0
    assert LOG.instant_at(0.4) == 21


def test_counts_by_hand() -> None:
    assert LOG.user_counts().tolist() == [3, 2, 0]
    assert LOG.item_counts().tolist() == [0, 3, 1, 1]
    assert LOG.item_counts(newest_share=0.4).tolist() == [0, 1, 0, 1]


def test_age_is_measured_from_as_of_and_an_unseen_user_is_as_old_as_the_log() -> None:
    expected = np.array([DAY, DAY, 40 + DAY - 10]) / DAY
    np.testing.assert_allclose(LOG.user_age_days(), expected)


def test_matrix_marks_pairs_once() -> None:
    assert LOG.matrix().toarray().tolist() == [[0, 1, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]]


def test_histories_of_any_log_keep_the_order_of_its_rows() -> None:
    rng = np.random.default_rng(0)
    log = PairLog.of(rng.integers(0, 30, 500), rng.integers(0, 9, 500), np.sort(rng.integers(0, 99, 500)), 32, 9)
    histories = log.histories()
    for user in range(32):
        rows = slice(*histories.offsets[user : user + 2])
        own = np.flatnonzero(log.user_idx == user)
        assert histories.item_idx[rows].tolist() == log.item_idx[own].tolist()
        assert histories.occurred_at[rows].tolist() == log.occurred_at[own].tolist()
    assert histories.item_idx.dtype == histories.offsets.dtype == np.int64


def test_histories_are_oldest_first() -> None:
    histories = LOG.histories()
    assert histories.lengths.tolist() == [3, 2, 0]
    rows, place = histories.rows_of(np.array([1, 2, 0]))
    assert histories.item_idx[rows].tolist() == [1, 3, 1, 2, 1]
    assert place.tolist() == [0, 0, 2, 2, 2]
    newest, place = histories.rows_of(np.array([1, 2, 0]), newest=2)
    assert histories.item_idx[newest].tolist() == [1, 3, 2, 1]
    assert place.tolist() == [0, 0, 2, 2]


def test_an_empty_log_answers_everything() -> None:
    empty = log_of()
    assert empty.distinct().matrix().nnz == 0
    assert empty.user_age_days().tolist() == [0, 0, 0]
    assert empty.histories().lengths.tolist() == [0, 0, 0]


def test_where_keeps_the_rows_asked_for() -> None:
    assert LOG.where(LOG.item_idx == 1).occurred_at.tolist() == [10, 20, 40]
