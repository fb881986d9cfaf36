"""The consumer that the recipes' README adds is real: its very text trains, is gated, and is arranged for serving."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from serving_export.consumers import consumer_vectors
from tests.training.representation.trained_home import LAST, TrainedHome
from training.consumers import base as consumers
from training.consumers.base import consumer_named, gate_consumer, train_consumer
from training.contracts.consumers import CONSUMERS
from training.settings import REPO_ROOT

pytestmark = pytest.mark.integration


def blocks() -> list[str]:
    section = (REPO_ROOT / "training" / "consumers" / "README.md").read_text().split("<!-- recipe:audience -->")[1]
    return re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, line = blocks()[:2]
    declared = ast.literal_eval(f"{{{line}}}")
    module = ModuleType("training.consumers.audience")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(recipe, "README.md", "exec"), module.__dict__)
    monkeypatch.setattr(consumers, "CONSUMERS", {**CONSUMERS, **declared})


def test_the_consumer_of_the_readme_trains_is_judged_and_ranks(trained: TrainedHome, added: None) -> None:
    settings, space_id = trained.settings, trained.candidate.space_id
    ref = train_consumer(settings, LAST, consumer_named("audience"), space_id)
    assert train_consumer(settings, LAST, consumer_named("audience"), space_id) == ref
    decision = gate_consumer(settings, LAST, "audience", ref.version)
    assert "finite vectors" in Path(settings.home / decision.report).read_text()
    made = consumer_vectors(settings, ref, LAST)
    assert made.user_vectors.shape == (64, 12)
    own, other = _scores_of_met_and_unmet(made)
    assert own > other


def _scores_of_met_and_unmet(made) -> tuple[float, float]:
    scores_UI = made.user_vectors @ made.item_vectors_ID.T
    met_UI = made.seen_UI.toarray().astype(bool)
    return float(np.mean(scores_UI[met_UI])), float(np.mean(scores_UI[~met_UI]))
