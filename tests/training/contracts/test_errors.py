import pytest

from training.contracts.errors import AttuneError, SpaceMismatch, require_space


def test_a_space_mismatch_names_both_spaces_the_place_and_the_remedy() -> None:
    error = SpaceMismatch("20261105-1f2e3d4c", "20261104-9a8b7c6d", "published/x", "re-run refresh_embeddings")
    assert isinstance(error, AttuneError)
    message = str(error)
    assert "expected space 20261105-1f2e3d4c, found 20261104-9a8b7c6d at published/x" in message
    assert message.endswith("re-run refresh_embeddings")


def test_a_model_takes_its_own_space_alone() -> None:
    require_space("20261105-aaaaaaaa", "20261105-aaaaaaaa", "toy")
    with pytest.raises(SpaceMismatch, match="expected space 20261105-aaaaaaaa, found no space at the toy model"):
        require_space("20261105-aaaaaaaa", "", "toy")
