"""Share one trained home between the tests that only read it."""

import pytest


@pytest.fixture(scope="session")
def trained(tmp_path_factory, fresh_mlflow):
    from tests.training.representation.trained_home import trained_home

    return trained_home(tmp_path_factory.mktemp("trained"), fresh_mlflow)
