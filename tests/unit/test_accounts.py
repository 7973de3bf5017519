"""API keys, on a Redis in this process."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from service.accounts import Accounts, Grant, RateExceeded, Scope
from service.core.errors import Unauthenticated
from service.core.retries import OnAmbiguous
from service.settings import ConfigurationError, Limits

WEST = timezone(timedelta(hours=-14))


@pytest.fixture
def accounts(redis):
    return Accounts(redis, Limits(queued_jobs=7))


async def test_secret_opens_the_key_that_was_made(accounts: Accounts):
    grant = Grant(
        account="ada",
        scopes=frozenset({Scope.GENERATE, Scope.EMBED}),
        requests_per_minute=60,
        running_jobs=3,
        on_ambiguous=OnAmbiguous.HOLD,
        quota_units=5_000,
        models=frozenset({"test/test"}),
        weight=3,
        expires_at=datetime.now(UTC).replace(microsecond=0) + timedelta(days=1),
    )

    key, secret = await accounts.create(grant)

    assert await accounts.authenticate(secret) == key
    assert secret.startswith("sk_")
    assert len(secret) == 3 + 43
    assert key.id.startswith("key_")
    assert (key.account, key.scopes, key.weight) == ("ada", grant.scopes, 3)
    assert (key.models, key.expires_at) == (grant.models, grant.expires_at)
    assert (key.queued_jobs, key.running_jobs) == (7, 3)
    assert key.on_ambiguous is OnAmbiguous.HOLD


async def test_secret_is_nowhere_in_redis(accounts: Accounts, redis):
    _, secret = await accounts.create(Grant(account="ada"))

    for name in await redis.keys():
        assert secret.encode() not in name
        assert secret not in str(await redis.hgetall(name))


@pytest.mark.parametrize(
    "secret", ["", "sk_unknown", "sk a", "sk_\x00", "ключ", "x" * 10_000]
)
async def test_anything_else_opens_nothing(accounts: Accounts, secret: str):
    await accounts.create(Grant(account="ada"))

    for _ in range(2):
        with pytest.raises(Unauthenticated) as refusal:
            await accounts.authenticate(secret)
        assert refusal.value.code == "invalid_key"


async def test_revoked_key_is_refused_by_its_own_name(accounts: Accounts):
    key, secret = await accounts.create(Grant(account="ada"))
    await accounts.authenticate(secret)

    revoked = await accounts.revoke(key.id)

    with pytest.raises(Unauthenticated) as refusal:
        await accounts.authenticate(secret)
    assert refusal.value.code == "key_revoked"
    assert (await accounts.revoke(key.id)) == revoked
    assert await accounts.revoke("key_none") is None


async def test_expired_key_is_refused_by_its_own_name(accounts: Accounts):
    past = datetime.now(UTC) - timedelta(seconds=1)
    _, secret = await accounts.create(Grant(account="ada", expires_at=past))

    with pytest.raises(Unauthenticated) as refusal:
        await accounts.authenticate(secret)

    assert refusal.value.code == "key_expired"


async def test_adopting_twice_makes_one_key(accounts: Accounts):
    first = await accounts.adopt("sk_preset_for_tests", Grant(account="ada"))
    second = await accounts.adopt("sk_preset_for_tests", Grant(account="bob"))

    assert first == second
    assert [key.id for key in await accounts.list()] == [first.id]


async def test_revoked_key_is_not_brought_back_by_adopting_it(accounts: Accounts):
    key = await accounts.adopt("sk_preset_for_tests", Grant(account="ada"))
    await accounts.revoke(key.id)

    await accounts.adopt("sk_preset_for_tests", Grant(account="ada"))

    with pytest.raises(Unauthenticated):
        await accounts.authenticate("sk_preset_for_tests")


@pytest.mark.parametrize("secret", ["", "a b" * 8, "ключ" * 8, "x" * 15, "x" * 257])
async def test_secret_that_fits_no_header_or_is_guessed_is_not_adopted(
    accounts: Accounts, secret
):
    with pytest.raises(ConfigurationError):
        await accounts.adopt(secret, Grant(account="ada"))


async def test_keys_are_listed_oldest_first(accounts: Accounts):
    made = [(await accounts.create(Grant(account=a)))[0] for a in ("ada", "bob")]

    assert await accounts.list() == sorted(made, key=lambda k: (k.created_at, k.id))


async def test_one_odd_record_keeps_no_other_from_being_read(accounts: Accounts, redis):
    odd, _ = await accounts.create(Grant(account="odd"))
    [stored] = [key async for key in redis.scan_iter("darkroom:key:*")]
    await redis.hset(stored, "expires_ms", 10**15)
    await accounts.create(Grant(account="ada"))

    listed = await accounts.list()

    assert [key.account for key in listed] == ["odd", "ada"]
    assert listed[0].id == odd.id


@pytest.mark.parametrize(
    "grant",
    [
        {"account": ""},
        {"account": "a:b"},
        {"account": "x" * 65},
        {"account": "ada", "scopes": frozenset()},
        {"account": "ada", "requests_per_minute": 0},
        {"account": "ada", "queued_jobs": 0},
        {"account": "ada", "running_jobs": 0},
        {"account": "ada", "quota_units": -1},
        {"account": "ada", "weight": 0},
        {"account": "ada", "weight": 10**20},
        {"account": "ada", "expires_at": datetime(2030, 1, 1)},  # noqa: DTZ001
        {"account": "ada", "expires_at": datetime.max.replace(tzinfo=WEST)},
    ],
)
def test_grant_that_makes_no_sense_is_refused(grant: dict):
    with pytest.raises(ValueError, match=r"\w"):
        Grant(**grant)


async def test_rate_lets_a_minutes_worth_through_at_once_and_no_more(
    accounts: Accounts,
):
    key, _ = await accounts.create(Grant(account="ada", requests_per_minute=5))

    left = [(await accounts.take(key)).remaining for _ in range(5)]
    with pytest.raises(RateExceeded) as refusal:
        await accounts.take(key)

    assert left == [4, 3, 2, 1, 0]
    assert timedelta(0) < refusal.value.retry_after <= timedelta(seconds=12)
    assert refusal.value.allowance.remaining == 0


async def test_key_without_a_rate_is_not_counted(accounts: Accounts, redis):
    key, _ = await accounts.create(Grant(account="ada"))

    assert await accounts.take(key) is None
    assert not await redis.keys("darkroom:rate:*")
