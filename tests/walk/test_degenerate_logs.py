"""Whatever a log lacks, it ends served, or with one line that says what it lacks; `python -m tests.walk` draws many."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from tests.walk.chain import Ended, broken, walk
from tests.walk.logs import Shape, make, shapes
from training.settings import Settings

pytestmark = pytest.mark.walk
Walk = Callable[[Shape], Ended]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, fresh_mlflow: Callable[[Settings], Settings]) -> Walk:
    def of(shape: Shape) -> Ended:
        home = tmp_path_factory.mktemp("home")
        return walk(fresh_mlflow(Settings.from_env({"ATTUNE_HOME": str(home)})), make(shape))

    return of


def test_interactions_alone_are_served_without_cold_start(walked: Walk) -> None:
    ended = walked(Shape())
    assert ended.served, ended.lack
    assert ended.consumers == ("matching", "multi_interest")
    assert ended.not_applicable == {"cold_start": "no user has an attribute or an onboarding pick"}
    assert broken(ended) == []


def test_one_user_with_more_than_half_of_a_small_log_holds_nothing_back(walked: Walk) -> None:
    """Thirty held-out pairs choose nothing and judge nothing: an untrained model was refused by them."""
    ended = walked(Shape(who="one half", ids="256 bytes"))
    assert ended.served, ended.lack
    assert broken(ended) == []


def test_users_who_did_one_thing_each_leave_no_interest_to_tell_apart(walked: Walk) -> None:
    """A tower without wins was refused where no user had two items to win."""
    ended = walked(Shape(who="once", users="constant"))
    assert ended.consumers == ("matching",)
    assert set(ended.not_applicable) == {"cold_start", "multi_interest"}
    assert broken(ended) == []


@settings(
    max_examples=2,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(shape=shapes())
@example(shape=Shape(num_users=1, num_items=1, num_events=1, num_days=1, ids="quotes and spaces"))
def test_any_log_ends_served_or_with_one_line(walked: Walk, shape: Shape) -> None:
    ended = walked(shape)
    assert broken(ended) == []
    assert ended.served or ended.lack
