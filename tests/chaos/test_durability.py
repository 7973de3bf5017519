"""What survives a killed Valkey and a dead primary, in a few rounds of each."""

import pytest

from tests.chaos import durability, replicas

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("keeping", ["up", "strict"])
async def test_a_killed_valkey_loses_nothing_that_was_answered(keeping):
    report = await durability.run(rounds=2, writers=0, keeping=keeping, seed=20261121)

    assert report.is_good, report.as_table()


async def test_what_was_waited_for_is_on_the_replica_and_what_was_not_is_lost():
    waited = await replicas.run(rounds=1, waits=True, seed=20261121)
    unwaited = await replicas.run(rounds=1, waits=False, seed=20261121)

    assert waited.is_good, waited.as_table()
    assert unwaited.figures["lost"] > 0
