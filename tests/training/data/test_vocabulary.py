from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from training.contracts.errors import AttuneError, UnknownId
from training.data.vocabulary import UNKNOWN, Vocabulary


@pytest.fixture
def users() -> Vocabulary:
    return Vocabulary(["carol", "alice", "bob", "alice"], "user")


def test_indices_follow_sorted_ids_whatever_the_order_given(users: Vocabulary) -> None:
    assert users.ids == ("alice", "bob", "carol")
    assert users == Vocabulary(["bob", "carol", "alice"])
    assert len(users) == 3
    assert "bob" in users
    assert "dave" not in users


def test_encode_and_decode_are_each_others_inverse(users: Vocabulary) -> None:
    index = users.encode(["carol", "alice"])
    assert index.dtype == np.int32
    assert index.tolist() == [2, 0]
    assert users.decode(index) == ["carol", "alice"]


def test_nothing_encodes_to_nothing(users: Vocabulary) -> None:
    assert users.encode([]).shape == (0,)
    assert users.decode([]) == []


def test_unknown_ids_raise_warn_or_pass_as_asked(users: Vocabulary) -> None:
    with pytest.raises(UnknownId, match="known user ids, found 1 unknown, the first 'dave'"):
        users.encode(["alice", "dave"])
    with pytest.warns(UserWarning, match="dave"):
        assert users.encode(["dave"], unknown="warn").tolist() == [UNKNOWN]
    assert users.encode(["dave", "bob"], unknown="ignore").tolist() == [UNKNOWN, 1]


def test_columns_encode_like_lists(users: Vocabulary) -> None:
    ids = ["bob", "dave", "alice", "bob"]
    plain = users.encode(ids, unknown="ignore").tolist()
    assert plain == [1, UNKNOWN, 0, 1]
    halves = pa.chunked_array([ids[:2], ids[2:]])
    for column in (pa.array(ids), halves, halves.dictionary_encode(), pa.array(ids).dictionary_encode()):
        assert users.encode(column, unknown="ignore").tolist() == plain
        with pytest.raises(UnknownId, match="the first 'dave'"):
            users.encode(column)


@pytest.mark.parametrize("index", [-1, 3])
def test_decode_refuses_places_outside(users: Vocabulary, index: int) -> None:
    with pytest.raises(UnknownId, match="from 0 to 2"):
        users.decode([index])


def test_save_and_load(users: Vocabulary, tmp_path: Path) -> None:
    users.save(tmp_path / "users.json")
    loaded = Vocabulary.load(tmp_path / "users.json")
    assert loaded == users
    assert loaded.name == "user"
    assert hash(loaded) == hash(users)


def test_load_refuses_another_file(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text("[]")
    with pytest.raises(AttuneError, match="saved vocabulary"):
        Vocabulary.load(tmp_path / "users.json")


def test_vectors_come_in_the_order_of_the_ids_that_are_held(users: Vocabulary) -> None:
    found = users.aligned(["carol", "dave", "alice"], np.array([[1, 2], [9, 9], [3, 4]], np.float32))
    assert found.tolist() == [[3, 4], [0, 0], [1, 2]]
    assert found.dtype == np.float32
    assert users.aligned([], np.zeros((0, 5), np.float32)).shape == (3, 5)
