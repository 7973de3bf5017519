"""URLs of Redis that name its Sentinels, and those that name nobody."""

import pytest

from service.settings.redis_urls import check_redis_url, sentinels_of


def test_a_plain_url_names_no_sentinels():
    assert sentinels_of("redis://user:word@host:6380/2") is None
    assert sentinels_of("unix:///run/valkey.sock") is None


def test_sentinels_are_asked_in_order_and_redis_gets_the_password():
    url = "redis+sentinel://dark:p%40ss@one:26380,two,[::1]:5/queue/3"

    named = sentinels_of(url)

    assert named is not None
    assert named.asked == (("one", 26380), ("two", 26379), ("::1", 5))
    assert (named.service, named.database, named.tls) == ("queue", 3, False)
    assert named.login == {"username": "dark", "password": "p@ss"}
    assert named.sentinel_login == {}
    assert "p@ss" not in repr(named)


def test_sentinels_may_want_a_password_of_their_own():
    url = "rediss+sentinel://:word@one/queue?sentinel_password=other%2B"

    named = sentinels_of(url)

    assert named is not None
    assert (named.tls, named.database) == (True, 0)
    assert named.login == {"password": "word"}
    assert named.sentinel_login == {"password": "other+"}


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://one",
        "redis+sentinel:///queue",
        "redis+sentinel://one:0/queue",
        "redis+sentinel://one:port/queue",
        "redis+sentinel://one,/queue",
        "redis+sentinel://one/queue/db",
        "redis+sentinel://one/queue?db=2",
        "http+sentinel://one/queue",
        "redis://h:0",
        "redis://h/abc",
        "http://h",
    ],
)
def test_a_url_that_names_nobody_is_refused(url: str):
    with pytest.raises(ValueError, match=r"must be|needs|names|takes"):
        check_redis_url(url)
