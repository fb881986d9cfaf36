"""What is asked of Airflow's API, against a server that records it."""

import json
import threading
import urllib.parse
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from local.rest import Api, Unreachable

from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition


class Recorder:
    """An HTTP server that answers by (method, path) and remembers what it was asked."""

    def __init__(self):
        self.asked, self.answers, self.tokens = [], {}, []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                path, _, query = self.path.partition("?")
                recorder.asked.append((self.command, path, query, body))
                recorder.tokens.append(self.headers.get("Authorization"))
                status, value = recorder.answers.get((self.command, path), (404, {"detail": "not found"}))
                if callable(value):
                    value = value({name: texts[0] for name, texts in urllib.parse.parse_qs(query).items()})
                if isinstance(value, list) and value and isinstance(value[0], tuple):
                    status, value = value.pop(0) if len(value) > 1 else value[0]
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(value).encode())

            do_GET = do_POST = do_PATCH = do_PUT = answer

            def log_message(self, *arguments):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()


@pytest.fixture
def recorder():
    recorder = Recorder()
    yield recorder
    recorder.server.shutdown()
    recorder.thread.join()
    recorder.server.server_close()


@pytest.fixture
def api(recorder):
    return Api(f"http://127.0.0.1:{recorder.server.server_port}")


def test_a_token_is_sent_where_there_is_one(recorder):
    recorder.answers["GET", "/api/v2/dags"] = (200, {"dags": [], "total_entries": 0})
    address = f"http://127.0.0.1:{recorder.server.server_port}"
    assert Api(address).dag_ids() == Api(address, "a.b.c").dag_ids() == set()
    assert recorder.tokens == [None, "Bearer a.b.c"]


def test_a_backfill_is_the_call_that_the_form_of_the_ui_makes(api, recorder):
    recorder.answers["POST", "/api/v2/backfills"] = (200, {"id": 7})
    first, last = Partition.parse("2026-11-05"), Partition.parse("2026-11-07")
    assert api.backfill("build_user_features", first, last, {"retrain": "every_partition"}) == 7
    (_, _, _, body) = recorder.asked[0]
    assert body == {
        "dag_id": "build_user_features",
        "from_date": "2026-11-05T00:00:00+00:00",
        "to_date": "2026-11-07T00:00:00+00:00",
        "run_backwards": False,
        "max_active_runs": 3,
        "reprocess_behavior": "completed",
        "dag_run_conf": {"retrain": "every_partition"},
    }


def test_a_busy_server_is_asked_again(api, recorder, monkeypatch):
    monkeypatch.setattr("local.rest.time.sleep", lambda seconds: None)
    recorder.answers["GET", "/api/v2/dags"] = (0, [(503, {}), (503, {}), (200, {"dags": [{"dag_id": "a"}]})])
    assert api.dag_ids() == {"a"}
    assert len(recorder.asked) == 3


@pytest.mark.parametrize("code", [500, 502, 503])
def test_a_read_that_fails_for_a_moment_is_asked_again(api, recorder, monkeypatch, code):
    monkeypatch.setattr("local.rest.time.sleep", lambda seconds: None)
    recorder.answers["GET", "/api/v2/assets"] = (0, [(code, {}), (200, {"assets": []})])
    assert api.assets_by_dag() == {}


def test_a_write_that_broke_is_not_sent_twice(api, recorder):
    recorder.answers["POST", "/api/v2/dags/x/dagRuns"] = (500, {})
    with pytest.raises(AttuneError, match="found 500"):
        api.trigger("x", "2026-11-05")
    assert len(recorder.asked) == 1


def test_a_refused_request_says_what_was_asked_and_answered(api):
    with pytest.raises(AttuneError, match=r"POST \S+/api/v2/dags/x/dagRuns to be done, found 404: .*not found"):
        api.trigger("x", "2026-11-05")


def test_nobody_there_is_unreachable(monkeypatch):
    monkeypatch.setattr("local.rest.time.sleep", lambda seconds: None)
    with pytest.raises(Unreachable, match=r"expected Airflow at http://127\.0\.0\.1:9"):
        Api("http://127.0.0.1:9").dag_ids()


def test_unhealthy_components_are_named(api, recorder):
    health = {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": "healthy"},
        "dag_processor": {"status": None},
    }
    recorder.answers["GET", "/api/v2/monitor/health"] = (200, health)
    assert api.unhealthy() == ["dag_processor"]


def test_a_pool_is_made_where_it_is_missing(api, recorder):
    recorder.answers["POST", "/api/v2/pools"] = (201, {})
    api.ensure_pool("warehouse", 1)
    assert [(method, path) for method, path, _, _ in recorder.asked] == [
        ("PATCH", "/api/v2/pools/warehouse"),
        ("POST", "/api/v2/pools"),
    ]
    assert recorder.asked[-1][3] == {"name": "warehouse", "slots": 1, "include_deferred": False}


def test_what_a_session_left_is_ended_and_its_backfill_cancelled(api, recorder):
    runs = [
        {"dag_id": "build", "dag_run_id": "a b", "state": "running"},
        {"dag_id": "build", "dag_run_id": "done", "state": "success"},
    ]
    backfills = [{"id": 1, "completed_at": "then"}, {"id": 2, "completed_at": None}]
    recorder.answers["GET", "/api/v2/dags/~/dagRuns"] = (200, {"dag_runs": runs})
    recorder.answers["GET", "/api/v2/backfills"] = (200, {"backfills": backfills})
    recorder.answers["PUT", "/api/v2/backfills/2/cancel"] = (200, {})
    recorder.answers["PATCH", "/api/v2/dags/build/dagRuns/a%20b"] = (200, {})
    assert api.abandon() == ["a b"]
    changed = [(method, path, body) for method, path, _, body in recorder.asked if method != "GET"]
    assert changed == [
        ("PUT", "/api/v2/backfills/2/cancel", None),
        ("PATCH", "/api/v2/dags/build/dagRuns/a%20b", {"state": "failed"}),
    ]


def test_assets_are_turned_into_what_each_dag_waits_for(api, recorder):
    assets = [
        {"name": "space", "scheduled_dags": [{"dag_id": "train"}, {"dag_id": "promote"}]},
        {"name": "model", "scheduled_dags": [{"dag_id": "promote"}]},
        {"name": "published", "scheduled_dags": []},
    ]
    recorder.answers["GET", "/api/v2/assets"] = (200, {"assets": assets})
    assert api.assets_by_dag() == {"train": {"space"}, "promote": {"space", "model"}}


def test_a_log_line_carries_its_error(api, recorder):
    task = {"dag_id": "d", "dag_run_id": "r", "task_id": "t", "try_number": 1}
    error = {"exc_type": "ContractViolation", "exc_value": "expected, found"}
    content = ["plain", {"timestamp": "2026-11-05T00:00:00.123Z", "event": "failed", "error_detail": [error]}]
    recorder.answers["GET", "/api/v2/dags/d/dagRuns/r/taskInstances/t/logs/1"] = (200, {"content": content})
    assert api.task_log(task) == ["plain", "2026-11-05T00:00:00 failed\n    ContractViolation: expected, found"]


def paged(what, entries, most):
    """Answer as Airflow does: no more than `most` entries a page, whatever was asked for."""

    def page(query):
        first = int(query.get("offset", 0))
        size = min(int(query.get("limit", 50)), most)
        ordered = entries[::-1] if query.get("order_by", "").startswith("-") else entries
        return {what: ordered[first : first + size], "total_entries": len(entries)}

    return page


def test_lists_longer_than_a_page_are_read_whole(api, recorder):
    since = datetime(2026, 11, 5, tzinfo=UTC)
    runs = [{"dag_id": "d", "dag_run_id": f"r{number}", "state": "success"} for number in range(23)]
    events = [{"id": number} for number in range(31)]
    tasks = [{"task_id": str(number)} for number in range(12)]
    recorder.answers["GET", "/api/v2/dags/~/dagRuns"] = (200, paged("dag_runs", runs, most=7))
    recorder.answers["GET", "/api/v2/assets/events"] = (200, paged("asset_events", events, most=10))
    recorder.answers["GET", "/api/v2/dags/d/dagRuns/r1/taskInstances"] = (200, paged("task_instances", tasks, most=5))
    recorder.answers["GET", "/api/v2/dags"] = (200, paged("dags", [{"dag_id": f"d{n}"} for n in range(9)], most=4))
    assert api.runs() == runs
    assert api.asset_events(since) == events
    assert api.tasks_of("d", "r1") == tasks
    assert len(api.dag_ids()) == 9


def test_a_run_on_a_later_page_is_ended_and_its_backfill_cancelled(api, recorder):
    runs = [{"dag_id": "d", "dag_run_id": f"r{n}", "state": "running" if n == 0 else "success"} for n in range(9)]
    backfills = [{"id": n, "completed_at": None if n == 8 else "then"} for n in range(9)]
    recorder.answers["GET", "/api/v2/dags/~/dagRuns"] = (200, paged("dag_runs", runs, most=4))
    recorder.answers["GET", "/api/v2/backfills"] = (200, paged("backfills", backfills, most=4))
    recorder.answers["PUT", "/api/v2/backfills/8/cancel"] = (200, {})
    recorder.answers["PATCH", "/api/v2/dags/d/dagRuns/r0"] = (200, {})
    assert api.abandon() == ["r0"]
    assert [asked[:2] for asked in recorder.asked if asked[0] == "PUT"] == [("PUT", "/api/v2/backfills/8/cancel")]


def test_reading_new_runs_stops_at_the_first_that_is_known(api, recorder):
    runs = [{"dag_id": "d", "dag_run_id": f"r{number}"} for number in range(40)]
    recorder.answers["GET", "/api/v2/dags/~/dagRuns"] = (200, paged("dag_runs", runs, most=5))
    known = {run["dag_run_id"] for run in runs[:33]}
    assert api.runs(known) == runs[33:]
    assert len(recorder.asked) == 2
