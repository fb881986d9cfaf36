"""Whatever is sent, by the description of the server and against it, nothing is an error of the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from serving_export.access.book import Team, change_book
from serving_export.http.app import build_app
from serving_export.http.guard import needed_scopes
from tests.serving_export.http.conftest import Bearer
from tests.serving_export.world import DAY1, DAY2, World
from training.contracts.frames import frame_of

load_all_checks()
CHECKED = [
    CHECKS.get_one(name) for name in ("not_a_server_error", "status_code_conformance", "content_type_conformance")
]
FUZZED = settings(
    max_examples=6,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
PINS = ("space", "space_id", "frame")
Statuses = dict[str, Counter[int]]


def send_all(app: Any, headers: dict[str, str], change: Callable[[Case], None] = lambda case: None) -> Statuses:
    """Send what every operation describes, and what it rules out, and return how often it answered what."""
    found: Statuses = {}
    for operation in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations():
        for mode in GenerationMode:
            strategy = operation.ok().as_strategy(generation_mode=mode)

            @FUZZED
            @given(strategy)
            def send(case: Case) -> None:
                change(case)
                response = case.call(headers=headers)
                case.validate_response(response, checks=CHECKED)
                found.setdefault(case.path, Counter())[response.status_code] += 1

            try:
                send()
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE, "nothing that a route describes can be sent to it"
    return found


def ask_for_what_is_served(case: Case, frame: str) -> None:
    """Ask without a pin, or of items in their frame, by ids that are known."""
    for named in (case.query, case.body):
        if isinstance(named, dict):
            for name in PINS:
                named.pop(name, None)
            if case.path.startswith("/items"):
                named["frame"] = frame
    if isinstance(case.body, dict):
        rows = {"user_ids": ["u05"], "item_ids": ["i05"], "as_of": ["2026-11-03T00:00:00Z"]}
        case.body.update({name: known for name, known in rows.items() if name in case.body})
    for name, known in (("user_id", "u05"), ("item_id", "i05")):
        if name in (case.path_parameters or {}):
            case.path_parameters[name] = known


def test_without_keys(world: World) -> None:
    first, _ = world.promote(DAY1, DAY2)
    app = build_app(world.settings)
    drawn, known = send_all(app, {}), send_all(app, {}, partial(ask_for_what_is_served, frame=frame_of(first)))
    assert set(drawn) == set(known) == set(app.openapi()["paths"])
    # what Feast's protocol asks for has names and keys of its own, which test_feast sends, and events need a stream
    assert {path for path in known if not known[path][200]} <= {"/get-online-features", "/events"}, known
    assert drawn["/embeddings"][409]


def test_with_a_token_and_without(world: World, bearer: Bearer) -> None:
    world.promote(DAY1)
    book = change_book(
        world.settings.access_path,
        lambda book: replace(book, teams={"search": Team(rate="1000000/minute")}),
    )
    assert book.teams
    app = build_app(world.settings)
    with_token, without = send_all(app, bearer()), send_all(app, {"authorization": "Bearer a.b.c"})
    for path in without:
        assert set(with_token[path]) - {401}, path  # among what is ruled out are other tokens
        assert (set(without[path]) == {401}) == bool(needed_scopes(path)) or path == "/metrics", path
