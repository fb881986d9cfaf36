import os

import pytest

from training.data.environment import environment


def test_variables_are_set_for_the_block_and_restored_even_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_TEST_OLD", "before")
    monkeypatch.delenv("ATTUNE_TEST_NEW", raising=False)

    def fail_inside() -> None:
        with environment({"ATTUNE_TEST_OLD": "inside", "ATTUNE_TEST_NEW": "inside"}):
            assert os.environ["ATTUNE_TEST_OLD"] == os.environ["ATTUNE_TEST_NEW"] == "inside"
            raise RuntimeError("failed")

    with pytest.raises(RuntimeError, match="failed"):
        fail_inside()
    assert os.environ["ATTUNE_TEST_OLD"] == "before"
    assert "ATTUNE_TEST_NEW" not in os.environ
