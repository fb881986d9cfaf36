from __future__ import annotations

import pytest

from training.contracts.errors import AttuneError
from training.ingest.sql_conditions import require_pure


@pytest.mark.parametrize(
    "expression",
    [
        "state = 'ok' and price is not null",
        "lower(name) like '%x' or amount between 1 and 2",
        "try_cast(n as integer) in (1, 2)",
        "case when a then b else c end",
        "regexp_matches(name, 'a|b') -- said twice",
    ],
)
def test_a_condition_on_the_row_is_kept_as_it_is(expression: str) -> None:
    assert require_pure(expression, "interactions.where") == expression


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("a in (select 1)", "found a subquery"),
        ("exists (select * from read_text('/etc/passwd'))", "found a subquery"),
        ("1 = 1) union select 1 from t where (1 = 1", "expected one SQL condition"),
        ("1 = 1) group by (a", "expected one SQL condition"),
        ("1 = 1); drop table t; select (1", "expected one SQL condition"),
        ("random() < 0.5", r"found random\(\)"),
        ("now() > '2020-01-01'", r"found now\(\)|found get_current_timestamp\(\)"),
        ("nextval('s') > 1", r"found nextval\(\)"),
        ("row_number() over () > 1", "found a window"),
        ("a = ", "expected one SQL condition"),
    ],
)
def test_what_could_do_more_than_look_at_the_row_is_an_error(expression: str, message: str) -> None:
    with pytest.raises(AttuneError, match=message) as error:
        require_pure(expression, "interactions.where")
    assert str(error.value).startswith("interactions.where: ")
