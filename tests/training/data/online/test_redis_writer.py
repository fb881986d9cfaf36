"""How the Redis writer connects, and what is left after a server refused a command."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from tests.training.data.online.conftest import Store
from tests.training.data.online.hard_snapshots import KEYS, blocks_of, hard_snapshot
from training.contracts.columns import USER_PROFILE
from training.data.online.blocks import block_keys
from training.data.online.feast_bytes import as_list
from training.data.online.redis_writer import RedisWriter, connection_arguments, connection_string

pytestmark = pytest.mark.integration


@pytest.fixture(params=["redis"])
def stores(stores: tuple[Store, Store]) -> tuple[Store, Store]:
    """Take the Redis stores alone."""
    return stores


@pytest.mark.parametrize(
    "text", ["valkey:6379", "h:1,db=2,ssl=true", "h:1,password=a=b,username=me,socket_timeout=0.5"]
)
def test_connects_as_feast_does(text: str) -> None:
    from feast.infra.online_stores.redis import RedisOnlineStore

    nodes, options = RedisOnlineStore._parse_connection_string(text)
    expected: dict[str, Any] = {"host": nodes[0]["host"], "port": int(nodes[0]["port"]), **options}
    assert connection_arguments(text) == expected


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://valkey:6379", {}),
        ("redis://valkey:6379/2", {"db": "2"}),
        ("redis://attune:0123@valkey:6379", {"username": "attune", "password": "0123"}),
        ("redis://:1e5@valkey:6379", {"password": "1e5"}),
        ("redis://a:p%2C%40%3D%22%5C%2F@valkey:6379/0", {"username": "a", "password": 'p,@="\\/', "db": "0"}),
    ],
)
def test_user_and_password_of_an_address_reach_feast_and_us_as_they_are(url: str, options: dict[str, str]) -> None:
    from feast.infra.online_stores.redis import RedisOnlineStore

    nodes, found = RedisOnlineStore._parse_connection_string(connection_string(url))
    assert (nodes, found) == ([{"host": "valkey", "port": "6379"}], options)
    assert connection_arguments(connection_string(url)) == {"host": "valkey", "port": 6379, **options}


def test_a_refused_command_fails_the_write_after_the_blocks_before_it(bulk: Store) -> None:
    first, second, third = blocks_of(hard_snapshot(USER_PROFILE))
    taken = as_list(block_keys(USER_PROFILE, second))[1] + b"attune"
    with bulk.redis() as client:
        client.set(taken, "held by something else")
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            bulk.writer().write("user_profile", [first, second, third])
        assert client.dbsize() == len(first) + len(second)
        client.delete(taken)
        assert bulk.writer().write("user_profile", [first, second, third]) == len(KEYS)
        assert client.dbsize() == len(KEYS)


def test_no_connection_stays_open(bulk: Store) -> None:
    with bulk.redis() as client:
        before = len(client.client_list())
        bulk.writer().write("user_profile", blocks_of(hard_snapshot(USER_PROFILE)))
        assert len(client.client_list()) == before


def test_a_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(redis.ConnectionError):
        RedisWriter("127.0.0.1:1", "attune").write("user_profile", hard_snapshot(USER_PROFILE).to_batches())
