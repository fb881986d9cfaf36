from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from training.contracts.columns import ACTIVITY_WINDOWS_DAYS, EVENT_TYPES, MODALITIES, TASTE_WINDOWS_DAYS
from training.contracts.errors import ContractViolation
from training.representation.inputs import MAX_PRIOR_EVENTS, InputAssembler, InputColumns, InputConfig


def rows(num_users: int = 40, width: int = 3) -> pd.DataFrame:
    """Users n = 0, 1, …: every fourth has no week of behaviour, every third no picks, the last no country."""
    generator = np.random.default_rng(1)
    frame = pd.DataFrame({"user_id": [f"u{n:02}" for n in range(num_users)]})
    for window in TASTE_WINDOWS_DAYS:
        away = np.arange(num_users) % 4 == 0 if window == "7d" else np.zeros(num_users, bool)
        frame[f"count_taste_{window}"] = np.where(away, 0, 1 + np.arange(num_users))
        for modality in MODALITIES:
            vectors = generator.normal(size=(num_users, width)) * [3.0, 1.0, 0.1][:width]
            frame[f"taste_{modality}_{window}"] = list(np.where(away[:, None], 0, vectors).astype(np.float32))
    picked = np.arange(num_users) % 3 > 0
    frame["count_onboarding"] = picked * 2
    for modality in MODALITIES:
        frame[f"onboarding_{modality}"] = list(
            (picked[:, None] * generator.normal(size=(num_users, width))).astype(np.float32)
        )
    frame["country"] = ["FI" if n % 2 else "PT" for n in range(num_users - 1)] + ["unknown"]
    frame["gender"] = "unknown"
    frame["age_band"], frame["occupation"], frame["language"] = "adult", "baker", "fi"
    for column in _activity_columns():
        frame[column] = generator.integers(0, 9, num_users).astype(float)
    return frame


def _activity_columns() -> list[str]:
    counts = [f"count_{event}_{days}d" for days in ACTIVITY_WINDOWS_DAYS for event in EVENT_TYPES]
    counts += [f"count_active_days_{days}d" for days in ACTIVITY_WINDOWS_DAYS]
    shares = [f"share_{part}_180d" for part in ("night", "morning", "afternoon", "evening", "weekend")]
    single = ["count_events_all", "recency_days", "count_items_180d", "count_categories_180d", "tenure_days"]
    return [*counts, *shares, *single, "category_entropy_180d", "count_sessions_30d", "session_length_mean_30d"]


def block(assembler: InputAssembler, name: str) -> slice:
    return next(b.columns for b in assembler.layout.blocks if b.name == name)


def observed(assembler: InputAssembler, frame: pd.DataFrame, name: str) -> np.ndarray:
    index = [b.name for b in assembler.layout.blocks].index(name)
    return assembler.transform(frame)[1][:, index]


@pytest.fixture
def assembler() -> InputAssembler:
    return InputAssembler.fit(rows(), InputConfig())


def test_blocks_tile_the_columns(assembler):
    x, _ = assembler.transform(rows())
    stops = [b.stop for b in assembler.layout.blocks]
    assert [b.start for b in assembler.layout.blocks] == [0, *stops[:-1]]
    assert x.shape == (40, stops[-1])
    assert x.dtype == np.float32
    assert np.isfinite(x).all()


def test_a_static_attribute_without_values_gets_no_block(assembler):
    assert "gender" not in assembler.vocabularies
    assert assembler.vocabularies["country"] == ("unknown", "FI", "PT")


def test_one_hots_put_strangers_with_the_unknown(assembler):
    frame = rows()
    frame.loc[0, "country"] = "never seen"
    x, _ = assembler.transform(frame)
    np.testing.assert_array_equal(
        x[[0, 1, 2, 39], block(assembler, "country")], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    )


def test_vectors_are_scaled_as_a_block_over_the_users_who_have_them(assembler):
    frame = rows()
    x, _ = assembler.transform(frame)
    seen = observed(assembler, frame, "taste_content_7d")
    values = x[seen, block(assembler, "taste_content_7d")]
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-5)
    assert np.square(values).mean() == pytest.approx(1, abs=1e-4)
    assert values[:, 0].std() > 5 * values[:, 2].std(), "leading directions keep their weight"


def test_columns_may_be_scaled_one_by_one():
    assembler = InputAssembler.fit(rows(), InputConfig(vector_scaling="column"))
    x, _ = assembler.transform(rows())
    np.testing.assert_allclose(x[:, block(assembler, "taste_content_all")].std(axis=0), 1, atol=1e-3)


def means_of(num_items: np.ndarray, within: float, between: float, width: int = 3) -> pd.DataFrame:
    """Users whose vectors are means of `num_items` draws around a taste of their own."""
    generator = np.random.default_rng(2)
    num_users = len(num_items)
    frame = rows(num_users, width)
    tastes = generator.normal(size=(num_users, width)) * between**0.5
    noise = generator.normal(size=(num_users, width)) * (within / np.maximum(num_items, 1))[:, None] ** 0.5
    frame["taste_content_all"] = list((tastes + noise).astype(np.float32))
    frame["count_taste_all"] = num_items
    return frame


def test_k_is_the_variance_within_users_over_that_between_them():
    assembler = InputAssembler.fit(means_of(np.tile([1, 2, 4, 8, 100], 800), within=6.0, between=2.0), InputConfig())
    place = [b.name for b in assembler.layout.blocks].index("taste_content_all")
    assert assembler.prior_events[place] == pytest.approx(3.0, rel=0.15)


def test_a_mean_of_few_items_is_drawn_towards_everyones():
    frame = means_of(np.tile([1, 100], 400), within=6.0, between=2.0)
    assembler = InputAssembler.fit(frame, InputConfig())
    twins = frame.iloc[:2].assign(taste_content_all=[frame["taste_content_all"][0]] * 2)
    few, many = assembler.transform(twins)[0][:, block(assembler, "taste_content_all")]
    k = assembler.prior_events[[b.name for b in assembler.layout.blocks].index("taste_content_all")]
    np.testing.assert_allclose(few * (1 + k), many * (1 + k / 100), rtol=1e-4)


@pytest.mark.parametrize(("within", "between", "expected"), [(0.0, 2.0, 0.0), (6.0, 0.0, MAX_PRIOR_EVENTS)])
def test_k_has_bounds(within, between, expected):
    frame = means_of(np.tile([1, 2, 4, 50], 100), within, between)
    frame["taste_collaborative_all"] = frame["taste_content_all"]
    assembler = InputAssembler.fit(frame, InputConfig())
    place = [b.name for b in assembler.layout.blocks].index("taste_collaborative_all")
    assert assembler.prior_events[place] == pytest.approx(expected, abs=2.0)


def test_equal_counts_tell_nothing_and_leave_the_mean_as_it_is():
    assembler = InputAssembler.fit(means_of(np.full(50, 3), within=6.0, between=2.0), InputConfig())
    place = [b.name for b in assembler.layout.blocks].index("taste_content_all")
    assert assembler.prior_events[place] == 0


def test_an_absent_window_is_zero_and_not_observed(assembler):
    x, _ = assembler.transform(rows())
    away = np.arange(40) % 4 == 0
    np.testing.assert_array_equal(observed(assembler, rows(), "taste_collaborative_7d"), ~away)
    assert not x[away, block(assembler, "taste_collaborative_7d")].any()
    np.testing.assert_array_equal(x[:, block(assembler, "count_taste_7d")][:, 0], ~away)
    assert observed(assembler, rows(), "taste_collaborative_30d").all()


def test_counts_of_nobody_are_what_absence_stands_for(assembler):
    """The value that corruption writes is the one that a real user without data has."""
    nobody = rows(1)
    for name in nobody.columns:
        if name.startswith(("count_", "share_", "category_", "session_", "recency_", "tenure_")):
            nobody[name] = 0
        elif name.startswith(("taste_", "onboarding_")):
            nobody[name] = [np.zeros(3, np.float32)]
    for name in ("country", "age_band", "occupation", "language"):
        nobody[name] = "unknown"
    x, _ = assembler.transform(nobody)
    np.testing.assert_allclose(x[0], assembler.layout.absent, atol=1e-5)


def test_statistics_are_those_of_training_only(assembler):
    extreme = rows()
    extreme["tenure_days"] = 1e6
    kept, _ = assembler.transform(rows())
    moved, _ = assembler.transform(extreme)
    changed = np.flatnonzero((kept != moved).any(axis=0))
    assert len(changed) == 1
    assert moved[0, changed[0]] > 10


def test_missing_figures_count_as_zero(assembler):
    frame = rows()
    frame["session_length_mean_30d"] = np.nan
    assert np.isfinite(assembler.transform(frame)[0]).all()


def test_groups_say_what_goes_missing_together(assembler):
    groups = {b.name: b.groups for b in assembler.layout.blocks}
    assert groups["taste_content_7d"] == ("window_7d", "modality_content", "behaviour")
    assert groups["count_taste_7d"] == ("window_7d", "behaviour")
    assert groups["count_onboarding"] == groups["onboarding_content"] == ("onboarding",)
    assert groups["country"] == ("demographics",)


def test_it_survives_the_disk(tmp_path, assembler):
    assembler.save(tmp_path)
    loaded = InputAssembler.load(tmp_path)
    np.testing.assert_array_equal(loaded.transform(rows())[0], assembler.transform(rows())[0])
    assert loaded.layout == assembler.layout


def test_vectors_of_another_width_are_refused(assembler):
    with pytest.raises(ContractViolation, match="input columns"):
        assembler.transform(rows(width=2))


def test_columns_that_are_arrays_already_give_the_same_inputs(assembler):
    frame = rows()
    frame.loc[3, "country"] = None
    given = InputColumns.of(frame)
    assert len(given) == len(frame)
    assert given.statics["country"][3] == "unknown"
    for found, expected in zip(assembler.transform_columns(given), assembler.transform(frame), strict=True):
        np.testing.assert_array_equal(found, expected)
    half = {name: values[:7] for name, values in given.vectors.items()}
    few = replace(
        given,
        vectors=half,
        counts={name: values[:7] for name, values in given.counts.items()},
        statics={name: values[:7] for name, values in given.statics.items()},
        activity_UA=given.activity_UA[:7],
    )
    np.testing.assert_array_equal(assembler.transform_columns(few)[0], assembler.transform(frame)[0][:7])
