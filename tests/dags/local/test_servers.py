"""The servers of `make up`: their commands are valid, and whether they answer is asked over HTTP."""

import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from local.instance import LocalAirflow, stored_port
from local.servers import answers, server_commands, start_valkey

from serving_export.stream.redis_streams import RedisSink, RedisSource, connect
from training.contracts.errors import AttuneError, TransientFailure
from training.settings import Settings


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(403)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def commands(tmp_path):
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    return server_commands(settings, {"mlflow": 5001, "lookup": 8601, "stream": 8602})


def test_the_lookup_server_takes_its_command(commands):
    from serving_export.commands.serve import serve

    name, *options = commands["lookup"][3:]
    assert name == serve.name
    given = serve.make_context(name, options).params
    assert (given["host"], given["port"]) == ("127.0.0.1", 8601)


def test_the_worker_of_the_stream_takes_its_command(commands):
    from serving_export.commands.stream import stream

    name, *options = commands["stream"][3:]
    assert name == stream.name
    assert stream.make_context(name, options).params["metrics_port"] == 8602


def test_entries_that_no_worker_took_in_survive_the_end_of_the_stream_s_server(tmp_path):
    airflow = LocalAirflow(Settings.from_env({"ATTUNE_HOME": str(tmp_path)}))
    port = stored_port(airflow.home, "valkey")
    address = f"redis://127.0.0.1:{port}/0"
    settings = replace(airflow.settings, stream=address)
    assert LocalAirflow(settings).environment()["ATTUNE_STREAM"] == address
    try:
        start_valkey(airflow, port)
        RedisSink(connect(settings), 1).append("users", [{"user_id": "u"}])
        assert airflow.stop() == ["valkey"]
        start_valkey(airflow, port)
        assert RedisSource(connect(settings), [0]).lag(0) == 1
        start_valkey_again = LocalAirflow(settings)
        with pytest.raises(AttuneError, match="found valkey"):
            start_valkey_again.require_stopped()
    finally:
        airflow.stop()
    with pytest.raises(TransientFailure):
        RedisSource(connect(settings), [0])


def test_mlflow_takes_its_command(commands):
    from mlflow.cli import cli

    server, *options = commands["mlflow"][3:]
    assert cli.commands[server].make_context(server, options).params["port"] == 5001


def test_a_server_that_answers_anything_answers():
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        assert answers(address)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert not answers(address)
