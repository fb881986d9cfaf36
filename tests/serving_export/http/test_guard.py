"""Each refusal: without a token, with a bad one, without the scope, over the rate, over the quota, without keys."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from serving_export.access.book import Book, Team, change_book, utc_now
from serving_export.access.tokens import SCOPES, issue, issue_static
from serving_export.http.app import build_app
from serving_export.http.guard import SCOPE_OF, is_loopback, needed_scopes, require_scopes
from tests.serving_export.http.conftest import Bearer
from tests.serving_export.world import DAY1, World
from training.settings import REPO_ROOT

ROUTES = {
    "/users/u05/embedding": "lookup",
    "/recommend/u05": "rank",
    "/target/i05": "rank",
    "/status": "status",
    "/metrics": "status",
}


@pytest.fixture
def client(world: World, bearer: Bearer) -> TestClient:
    world.promote(DAY1)
    return TestClient(build_app(world.settings))


def limited(world: World, team: str, **limits: str) -> None:
    """Give a team limits of its own."""
    change_book(world.settings.access_path, lambda book: replace(book, teams={**book.teams, team: Team(**limits)}))


@pytest.mark.parametrize("path", ROUTES)
def test_each_route_needs_its_own_scope(client: TestClient, bearer: Bearer, path: str) -> None:
    assert client.get(path, headers=bearer("search", ROUTES[path])).status_code == 200
    others = [scope for scope in SCOPES if scope != ROUTES[path]]
    refused = client.get(path, headers=bearer("search", *others))
    assert refused.status_code == 403
    assert f"scope {ROUTES[path]}" in refused.json()["error"]


def test_without_a_token_nothing_is_answered_but_whether_the_server_is_there(client: TestClient) -> None:
    for path in (*ROUTES, "/nothing", "/embeddings/", "//embeddings", "/healthz/../status"):
        refused = client.get(path)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer"), path
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Basic c2VhcmNoOng=", "bearer \xe9.\xe9.\xe9", "x" * 5000],
)
def test_a_malformed_header(client: TestClient, value: str) -> None:
    refused = client.get("/users/u05/embedding", headers={"authorization": value.encode("latin-1")})
    assert refused.status_code == 401
    assert "x" * 20 not in refused.text


def test_two_tokens_are_none(client: TestClient, bearer: Bearer) -> None:
    twice = [("authorization", bearer()["authorization"])] * 2
    assert client.get("/users/u05/embedding", headers=twice).status_code == 401


def test_expired_foreign_and_revoked_tokens(world: World, client: TestClient, bearer: Bearer) -> None:
    path = world.settings.access_path
    now = utc_now()
    token, expired = issue_static("laptop", ["lookup"], timedelta(days=1), now - timedelta(days=2))
    change_book(path, lambda book: replace(book, static=(expired,)))
    foreign = Book().rotated(timedelta(days=1), now)
    tokens = [token, issue(foreign, "search", ["lookup"], timedelta(days=1), now)]
    for token in tokens:
        refused = client.get("/users/u05/embedding", headers={"authorization": f"Bearer {token}"})
        assert refused.status_code == 401
    mine = bearer()
    assert client.get("/users/u05/embedding", headers=mine).status_code == 200
    change_book(path, lambda book: book.without_tokens_of("search", utc_now()))
    assert client.get("/users/u05/embedding", headers=mine).status_code == 401
    assert client.get("/users/u05/embedding", headers=bearer()).status_code == 200


def test_a_rotation_is_followed_at_once_and_ends_old_tokens_where_it_is_to(
    world: World, client: TestClient, bearer: Bearer
) -> None:
    old = bearer()
    for grace, status in ((timedelta(days=1), 200), (timedelta(0), 401)):
        change_book(world.settings.access_path, lambda book, grace=grace: book.rotated(grace, utc_now()))
        assert client.get("/users/u05/embedding", headers=old).status_code == status
    assert client.get("/users/u05/embedding", headers=bearer()).status_code == 200


def test_a_body_is_not_even_read_without_a_token(client: TestClient, bearer: Bearer) -> None:
    assert client.post("/embeddings", content=b"x" * 2_000_000).status_code == 401
    assert client.post("/embeddings", content=b"x" * 2_000_000, headers=bearer()).status_code == 413
    assert client.post("/embeddings", content=b"{", headers=bearer()).status_code == 422


def test_a_team_over_its_rate_waits_and_others_do_not(world: World, client: TestClient, bearer: Bearer) -> None:
    limited(world, "search", rate="2/hour")
    headers = bearer()
    statuses = [client.get("/users/u05/embedding", headers=headers).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = client.get("/users/u05/embedding", headers=headers)
    assert 1 <= int(refused.headers["retry-after"]) <= 3601
    assert "of search" in refused.json()["error"]
    assert client.get("/users/u05/embedding", headers=bearer("ads")).status_code == 200


def test_a_team_over_its_quota_of_ids(world: World, client: TestClient, bearer: Bearer) -> None:
    limited(world, "search", quota="5/day")
    body = {"user_ids": ["u01", "u02", "u03", "nobody"], "on_unknown": "ignore"}
    statuses = [client.post("/embeddings", json=body, headers=bearer()).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert client.get("/status", headers=bearer()).status_code == 429
    assert client.get("/recommend/u05", headers=bearer("ads")).status_code == 200


def test_without_keys_where_there_should_be_nobody_gets_in(world: World, client: TestClient, bearer: Bearer) -> None:
    headers, path = bearer(), world.settings.access_path
    whole = path.read_text()
    path.write_text("{")
    assert client.get("/status", headers=headers).status_code == 503
    path.unlink()
    refused = client.get("/status", headers=headers)
    assert refused.status_code == 503
    assert str(world.settings.home) not in refused.text
    path.write_text(whole)
    assert client.get("/status", headers=headers).status_code == 200
    keyed = TestClient(build_app(replace(world.settings, access_file=path.with_name("none")), keyed=True))
    assert keyed.get("/status", headers=headers).status_code == 503


def test_no_token_and_no_id_is_ever_logged(
    client: TestClient, bearer: Bearer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    headers = bearer()
    client.get("/users/u05/embedding", headers=headers)
    client.get("/users/u05/embedding?token=u06", headers={"authorization": headers["authorization"] + "x"})
    client.post("/embeddings", json={"user_ids": ["u05"]}, headers=headers)
    logged = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("httpx"))
    assert "team=search method=GET route=/users/{user_id:path}/embedding status=200" in logged
    assert "team=- method=GET route=/users/{user_id:path}/embedding status=401" in logged
    for secret in (headers["authorization"][7:40], "u05", "u06"):
        assert secret not in logged


def test_the_metrics_are_open_to_this_machine_but_not_through_its_proxy(world: World, bearer: Bearer) -> None:
    app = build_app(world.settings)
    for address, headers, status in [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, 401),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}, 401),
        ("10.0.0.7", {}, 401),
    ]:
        client = TestClient(app, base_url="http://localhost", client=(address, 50_000))
        assert client.get("/metrics", headers=headers).status_code == status
        assert client.get("/status", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:8600"}, 200),
        ({"host": "127.0.0.1"}, 200),
        ({"host": "[::1]:8600"}, 200),
        ({"host": "LOCALHOST", "origin": "http://127.0.0.1:8600"}, 200),
        ({"host": "rebound.example.org"}, 403),
        ({"host": "localhost.example.org:8600"}, 403),
        ({"host": "localhost@example.org"}, 403),
        ({"host": "[localhost"}, 403),
        ({"host": ""}, 403),
        ({"host": "localhost", "origin": "https://example.org"}, 403),
        ({"host": "localhost", "origin": "null"}, 403),
    ],
)
def test_a_page_from_elsewhere_reads_nothing_through_a_browser_of_this_machine(
    world: World, headers: dict[str, str], status: int
) -> None:
    world.promote(DAY1)
    client = TestClient(build_app(world.settings), client=("127.0.0.1", 50_000))
    for path in ("/users/u05/embedding", "/metrics"):
        assert client.get(path, headers=headers).status_code == status, path
    assert client.get("/healthz", headers=headers).status_code == 200


def test_with_keys_any_name_is_answered_but_no_metrics_without_a_token(
    world: World, client: TestClient, bearer: Bearer
) -> None:
    near = TestClient(build_app(world.settings), client=("127.0.0.1", 50_000))
    headers = {"host": "lookup.example.org", **bearer()}
    assert near.get("/users/u05/embedding", headers=headers).status_code == 200
    assert near.get("/metrics", headers={"host": "rebound.example.org"}).status_code == 401


def test_every_route_says_who_may_ask() -> None:
    app = FastAPI(openapi_url=None)
    app.get("/somewhere/{new}")(lambda new: new)
    with pytest.raises(AssertionError, match="/somewhere/"):
        require_scopes(app)
    assert needed_scopes("/somewhere/x") == set(SCOPES)


def test_the_document_names_the_scope_of_every_route() -> None:
    text = (REPO_ROOT / "serving_export/README.md").read_text(encoding="utf-8")
    told = {
        route.split("/")[1]: scope
        for scope, routes in re.findall(r"^\| `(\w+)` \| (`/.*`) \|$", text, re.MULTILINE)
        for route in re.findall(r"`(/[^`]+)`", routes)
    }
    assert told == {name: scope for name, scope in SCOPE_OF.items() if scope}


def test_the_description_names_the_scopes(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert paths["/embeddings"]["post"]["security"] == [{"token": ["lookup"]}]
    assert paths["/healthz"]["get"]["security"] == []
    assert {"401", "403", "429"} <= set(json.loads(json.dumps(paths["/target/{item_id}"]["get"]["responses"])))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
