"""Servers and networks that the tests of this folder break."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.conftest import do_without
from tests.fault_injection import cluster as clusters
from tests.fault_injection import network as networks
from tests.fault_injection.cluster import Cluster
from tests.fault_injection.network import Network
from tests.support import postgres
from tests.support.patience import as_in_production


@pytest.fixture(autouse=True)
def _limits_of_production() -> Iterator[None]:
    with as_in_production():
        yield


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Return a PostgreSQL server that the test may stop."""
    with clusters.cluster() as made:
        if made is None:
            do_without(request.config, "PostgreSQL", postgres.HOW_TO_GET)
        yield made


@pytest.fixture
async def network(cluster: Cluster) -> AsyncIterator[Network]:
    """Return the network to the cluster's primary, which can be darkened."""
    async with networks.network(cluster.url) as made:
        yield made
