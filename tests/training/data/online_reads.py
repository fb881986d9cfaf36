"""Read the online store as a downstream team does: by Feast's own call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from training.data.feature_store import feature_store
from training.settings import Settings


def read_online(settings: Settings, service: str, entities: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """Return what is served for each entity row, with `<feature>__ts`; unknown entities give nulls."""
    store = feature_store(settings)
    answer = store.get_online_features(store.get_feature_service(service), [dict(row) for row in entities])
    return answer.to_df(include_event_timestamps=True)
