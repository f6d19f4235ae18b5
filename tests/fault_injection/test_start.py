"""A server that refuses the portal: every start ends with a sentence."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.cli.test_console import ends
from tests.fault_injection.cluster import Cluster
from tests.fault_injection.network import Network
from tests.support import postgres

pytestmark = [pytest.mark.faults, pytest.mark.server]


async def test_wrong_password_is_reported_in_a_sentence(
    cluster: Cluster, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await postgres.execute(cluster.url, "CREATE ROLE portal LOGIN PASSWORD 'right'")
    cluster.server.run('echo "local all all scram-sha-256" >"$2/data/pg_hba.conf"')
    cluster.server.control("reload")
    right = urlsplit(network.url(cluster.url))._replace(
        netloc=f"portal:right@127.0.0.1:{network.port}"
    )
    # The server reloads its file asynchronously.
    async with asyncio.timeout(10):
        while True:
            try:
                await (await asyncpg.connect(right.geturl(), password="wrong")).close()
            except asyncpg.InvalidPasswordError:
                break
    wrong = right.geturl().replace("right", "wrong-secret")
    for command in ("serve", "migrate", "token"):
        said = await asyncio.to_thread(ends, command, wrong, monkeypatch)
        assert 'password authentication failed for user "portal"' in said
        assert "wrong-secret" not in said
