"""The servers of `make up`: their commands are valid, and whether they answer is asked over HTTP."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from local.servers import answers, server_commands

from training.settings import Settings


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(403)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def commands(tmp_path):
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    return server_commands(settings, {"mlflow": 5001, "lookup": 8601})


def test_the_lookup_server_takes_its_command(commands):
    from serving_export.commands.serve import serve

    name, *options = commands["lookup"][3:]
    assert name == serve.name
    given = serve.make_context(name, options).params
    assert (given["host"], given["port"]) == ("127.0.0.1", 8601)


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
