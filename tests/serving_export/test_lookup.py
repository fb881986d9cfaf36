"""Lookups give the vectors that were published, with their space and age, and follow the pointer."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from serving_export.checksum import MANIFEST
from serving_export.lookup import EmbeddingStore
from serving_export.refresh import refresh_embeddings
from tests.serving_export.world import DAY1, DAY2, DAY3, DIMENSION, World, noise
from training.contracts.artefacts import ModelRef
from training.contracts.errors import AttuneError, MissingArtefact, SpaceMismatch, UnknownId


def _store(world: World, **options: Any) -> EmbeddingStore:
    return EmbeddingStore(world.settings.published_dir, **options)


def test_vectors_come_in_the_order_asked_with_repeats(world: World) -> None:
    [space_id] = world.promote(DAY1)
    users, z_UZ = world.encode(world.settings, space_id, DAY1)
    found = _store(world).lookup(["u07", "u00", "u07"])
    assert found.user_ids == ("u07", "u00", "u07")
    np.testing.assert_array_equal(found.vectors, z_UZ[[users.index("u07"), 0, users.index("u07")]])
    assert found.vectors.dtype == np.float32
    assert (found.space_id, found.partition) == (space_id, "2026-11-01")


def test_age_counts_from_as_of_and_staleness_from_the_setting(world: World) -> None:
    world.promote(DAY1)
    found = _store(world, stale_after_days=1e6).lookup(["u00"])
    assert found.as_of == datetime(2026, 11, 2, tzinfo=UTC)
    assert abs((datetime.now(UTC) - found.as_of - found.age).total_seconds()) < 60
    assert not found.stale
    assert _store(world, stale_after_days=-1e6).lookup(["u00"]).stale


def test_unknown_users_raise_warn_or_are_left_out(world: World) -> None:
    world.promote(DAY1)
    store = _store(world)
    with pytest.raises(UnknownId, match="found 2 unknown \\('nobody', 'u'\\)"):
        store.lookup(["u00", "nobody", "u"])
    with pytest.warns(UserWarning, match="1 unknown"):
        assert store.lookup(["nobody", "u00"], "warn").unknown == ("nobody",)
    found = store.lookup(["nobody", "u00"], "ignore")
    assert (found.user_ids, found.vectors.shape) == (("u00",), (1, 8))


def test_nobody_asked_gives_no_rows(world: World) -> None:
    world.promote(DAY1)
    assert _store(world).lookup([]).vectors.shape == (0, 8)


def test_a_reader_of_a_space_refuses_every_other(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    assert _store(world, space_id=first).lookup(["u00"]).space_id == first
    assert _store(world).space_id == second
    with pytest.raises(SpaceMismatch, match=f"expected space 20260101-00000000, found {second}"):
        _store(world, space_id="20260101-00000000")


def test_reload_follows_the_pointer_and_old_answers_stay_whole(world: World) -> None:
    [space_id] = world.promote(DAY1)
    store = _store(world)
    assert not store.reload()
    before = store.lookup(["u05"])
    refresh_embeddings(world.settings, DAY2, world.sources)
    assert store.lookup(["u05"]).partition == "2026-11-01"
    assert store.reload()
    after = store.lookup(["u05", "u40"])
    assert (after.partition, after.space_id) == ("2026-11-02", space_id)
    assert not np.array_equal(after.vectors[0], before.vectors[0])


def test_a_space_that_left_service_is_refused_on_reload(world: World) -> None:
    [first] = world.promote(DAY1)
    store = _store(world, space_id=first)
    world.promote(DAY2, DAY3)
    with pytest.raises(SpaceMismatch, match=f"expected space {first}"):
        store.reload()
    assert store.lookup(["u00"]).space_id == first


def test_a_snapshot_of_another_space_at_that_path_is_refused(world: World) -> None:
    [space_id] = world.promote(DAY1)
    manifest = world.settings.published_dir / _store(world).pointer.live.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"space_id": "{space_id}"', '"space_id": "20260101-00000000"'))
    with pytest.raises(SpaceMismatch, match=f"expected space {space_id}, found 20260101-00000000"):
        _store(world)


def test_a_missing_snapshot_is_named(world: World) -> None:
    world.promote(DAY1)
    path = world.settings.published_dir / _store(world).pointer.live.path
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(MissingArtefact, match=r"found no .*manifest.json; run refresh for 2026-11-01"):
        _store(world)


def test_recommend_is_the_sorted_inner_product_without_what_was_seen(world: World) -> None:
    [space_id] = world.promote(DAY1)
    store = _store(world)
    made = _consumed(world, store)
    row = 2  # u03: users divisible by ten have no row; u03 has seen i03 and i04
    scores = made.user_vectors[row] @ made.item_vectors_ID.T
    kept = [f"i{item:02d}" for item in np.argsort(-scores, kind="stable")]
    assert store.recommend("u03", 20, drop_seen=False).ids == tuple(kept)
    expected = tuple(item for item in kept if item not in ("i03", "i04"))
    assert store.recommend("u03", 50).ids == expected
    assert store.recommend("u03", 3).ids == expected[:3]
    assert store.model("matching")["space_id"] == space_id


def test_a_user_of_several_vectors_scores_by_the_best_of_them(world: World) -> None:
    world.num_vectors = 3
    world.promote(DAY1)
    store = _store(world)
    made = _consumed(world, store)
    assert made.user_vectors.shape[1] == 3
    scores_UI = (made.user_vectors @ made.item_vectors_ID.T).max(axis=1)
    best = store.recommend("u03", 4, drop_seen=False)
    assert best.ids == tuple(f"i{item:02d}" for item in np.argsort(-scores_UI[2], kind="stable")[:4])
    np.testing.assert_allclose(best.scores, np.sort(scores_UI[2])[::-1][:4], rtol=1e-5)
    found = store.target("i04", 3, drop_seen=False)
    assert found.ids == tuple(made.user_ids[row].decode() for row in np.argsort(-scores_UI[:, 4], kind="stable")[:3])


def test_target_ranks_the_users_of_an_item_by_the_same_scores(world: World) -> None:
    world.promote(DAY1)
    store = _store(world)
    made = _consumed(world, store)
    scores = made.user_vectors @ made.item_vectors_ID[4]
    seen = made.seen_UI.toarray()[:, 4].astype(bool)
    assert seen.sum() == 4
    names = [name.decode() for name in made.user_ids[np.argsort(-np.where(seen, -np.inf, scores), kind="stable")]]
    assert store.target("i04", 5).ids == tuple(names[:5])
    assert len(store.target("i04", 1000).ids) == len(made.user_ids) - 4


def test_ranking_for_unknown_ids_or_no_k_says_so(world: World) -> None:
    world.promote(DAY1)
    store = _store(world)
    with pytest.raises(UnknownId, match="unknown user 'nobody'"):
        store.recommend("nobody", 5)
    with pytest.raises(UnknownId, match="unknown item 'i99'"):
        store.target("i99", 5)
    with pytest.raises(AttuneError, match="k of at least 1, found 0"):
        store.recommend("u03", 0)
    with pytest.raises(MissingArtefact, match="consumer cold_start"):
        store.recommend("u03", 1, "cold_start")


def test_a_lookup_loads_numpy_and_nothing_heavy() -> None:
    heavy = "('pyarrow', 'pandas', 'torch', 'feast', 'sqlalchemy', 'scipy', 'usearch', 'mlflow', 'training.settings')"
    code = f"import sys, serving_export.lookup; print([name for name in {heavy} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def _consumed(world: World, store: EmbeddingStore) -> Any:
    model = store.model("matching")
    return world.consume(world.settings, ModelRef(consumer="matching", partition="2026-11-01", **model), DAY1)


def test_a_user_without_history_has_an_imagined_vector_and_cold_start_answers(world: World) -> None:
    world.cold = True
    world.promote(DAY1)
    store = _store(world)
    found = store.lookup(["u20", "u21"])
    assert found.virtual == ("u20",)
    np.testing.assert_array_equal(found.vectors[0], noise("imagined 2026-11-01", 4, DIMENSION)[2])
    ranking = store.recommend("u20", 3)
    assert ranking.consumer == "cold_start"
    assert ranking.ids == store.consumer("cold_start").recommend("u20", 3).ids
    assert store.model("matching", "u20")["version"] == "cold"
    assert store.recommend("u21", 3).consumer == "matching"
    assert store.target("i04", 3).consumer == "matching"


def test_without_cold_start_a_user_without_history_gets_what_most_users_have_met(world: World) -> None:
    [space_id] = world.promote(DAY1)
    store = _store(world)
    met = np.asarray(_consumed(world, store).seen_UI.toarray().sum(axis=0))
    ranking = store.recommend("u20", 20)  # u20 is divisible by ten: it has interacted with nothing
    assert (ranking.consumer, ranking.fallback) == ("popularity", True)
    assert ranking.ids == tuple(f"i{item:02d}" for item in np.argsort(-met, kind="stable"))
    np.testing.assert_array_equal(ranking.scores, np.sort(met)[::-1])
    assert store.recommend("u20", 3).ids == ranking.ids[:3]
    assert store.model("matching", "u20") == {"version": "2026-11-01", "space_id": space_id}
    assert not store.recommend("u21", 3).fallback
    with pytest.raises(AttuneError, match="k of at least 1, found 0"):
        store.recommend("u20", 0)


@pytest.mark.parametrize("cold", [True, False])
def test_an_unknown_user_is_answered_by_popularity_where_asked(world: World, cold: bool) -> None:
    world.cold = cold
    world.promote(DAY1)
    store = _store(world)
    ranking = store.recommend("nobody", 3, on_unknown="popularity")
    assert (ranking.query, ranking.fallback, len(ranking.ids)) == ("nobody", True, 3)
    assert store.recommend("u21", 3, on_unknown="popularity").consumer == "matching"
    with pytest.raises(UnknownId, match="unknown user 'nobody'"):
        store.recommend("nobody", 3)


def test_a_snapshot_of_before_popularity_was_published_still_answers(world: World) -> None:
    world.promote(DAY1)
    folder = world.settings.published_dir / _store(world).pointer.live.path
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"] = {name: file for name, file in manifest["files"].items() if not name.startswith("popularity/")}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    shutil.rmtree(folder / "popularity")
    assert _store(world).recommend("u21", 3).consumer == "matching"
    with pytest.raises(UnknownId, match="unknown user 'u20'"):
        _store(world).recommend("u20", 3)


def test_a_snapshot_without_cold_start_imagines_nothing(world: World) -> None:
    world.promote(DAY1)
    assert not _store(world).snapshot.is_virtual.any()
    assert _store(world).lookup(["u20"]).virtual == ()


def test_an_open_store_answers_whole_after_its_snapshot_was_removed(world: World) -> None:
    world.cold = True
    world.promote(DAY1)
    store = _store(world)
    shutil.rmtree(world.settings.published_dir / store.pointer.live.path)
    assert store.lookup(["u10", "u11"]).virtual == ("u10",)
    assert store.recommend("u11", 3).ids


def test_a_file_that_was_cut_short_is_named_on_opening(world: World) -> None:
    world.promote(DAY1)
    path = world.settings.published_dir / _store(world).pointer.live.path / "vectors.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(AttuneError, match=r"expected 1408 bytes, found 1404 at .*vectors.npy; roll back"):
        _store(world)


def test_an_older_space_that_is_broken_does_not_keep_the_live_one_from_answering(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    legacy = _store(world).pointer.of_space(first)
    assert legacy is not None
    shutil.rmtree(world.settings.published_dir / legacy.path)
    store = _store(world)
    assert store.lookup(["u01"]).space_id == second
    with pytest.raises(MissingArtefact, match="reload"):
        store.for_space(first).lookup(["u01"])
