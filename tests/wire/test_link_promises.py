"""What is promised of signed links, smaller than `--scenario links` shows it."""

import pytest

from tests.chaos import links
from tests.fakes.stands import S3Place


async def test_a_link_of_any_lifetime_ends_when_it_says():
    report = await links.expiry(links=150, seed=7)

    assert report.is_good, report.as_table()


async def test_a_link_with_one_byte_changed_reads_nothing():
    report = await links.changes(links=500, seed=7)

    assert report.is_good, report.as_table()


@pytest.mark.swift
async def test_a_link_to_a_bucket_with_one_byte_changed_reads_nothing(swift: S3Place):
    report = await links.changes(links=60, seed=7, place=swift)

    assert report.is_good, report.as_table()


async def test_what_is_kept_no_longer_is_neither_read_nor_listed():
    report = await links.retention(jobs=20, seed=7)

    assert report.is_good, report.as_table()


async def test_what_is_kept_no_longer_in_a_bucket_is_neither_read_nor_listed(
    moto: S3Place,
):
    report = await links.retention(jobs=10, seed=7, place=moto)

    assert report.is_good, report.as_table()
