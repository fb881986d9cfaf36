"""The table averages within users first, and compares on the same moments."""

from __future__ import annotations

import numpy as np
import pandas as pd

from serving_export.bench.freshness_table import table


def test_each_vector_is_held_against_the_day_s_on_its_own_users() -> None:
    found = pd.DataFrame(
        {
            "day": ["2026-01-02", "2026-01-02", "2026-01-01"],
            "user_id": ["u", "u", "v"],
            "same for everyone": [0.0, 0.2, 0.1],
            "a week old": [np.nan, np.nan, 0.3],
            "daily": [0.2, 0.4, 0.4],
            "after each event": [0.4, 0.6, 0.45],
        }
    )
    both = pd.concat([found.assign(metric="NDCG@20"), found.assign(metric="recall@20", daily=0.5)])
    lines = table("log", both, seed=1).splitlines()
    assert lines[0] == "**log**, 3 moments of 2 users, 2026-01-01 to 2026-01-02"
    assert lines[4] == "| NDCG@20 | same for everyone | 2 | 0.1000 | 0.3500 | -71.4% | -85.7% to -57.1% |"
    assert lines[5] == "| NDCG@20 | a week old | 1 | 0.3000 | 0.4000 | -25.0% | -25.0% to -25.0% |"
    assert lines[6] == "| NDCG@20 | daily | 2 | 0.3500 | 0.3500 |  |  |"
    assert lines[7] == "| NDCG@20 | after each event | 2 | 0.4750 | 0.3500 | +35.7% | +14.3% to +57.1% |"
    assert lines[10] == "| recall@20 | daily | 2 | 0.5000 | 0.5000 |  |  |"
