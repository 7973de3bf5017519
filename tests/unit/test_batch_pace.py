"""The throughput of a batch, drawn from a few of the lines that ended."""

import pytest

from service.api.dashboard.batch_pace import Point, drawn


def test_a_steady_batch_is_a_straight_line():
    points = [Point(ended, 100 + ended / 10) for ended in range(1, 401, 9)]

    curve = drawn(points, begun_s=100, images=2)

    assert len(curve.times) == len(curve.rates) == 32
    assert curve.rates == pytest.approx([20] * 32, rel=0.01)
    assert curve.now == pytest.approx(20, rel=0.01)


def test_a_pause_is_seen_and_all_images_are_under_the_curve():
    points = [Point(100, 110), Point(101, 150), Point(200, 160)]

    curve = drawn(points, begun_s=100, images=1)

    step_s = curve.times[1] - curve.times[0]
    assert sum(curve.rates) * step_s == pytest.approx(200, rel=0.02)
    assert min(curve.rates) < 0.1
    assert curve.rates[0] > 5


def test_lines_that_ended_out_of_order_go_no_rate_below_zero():
    points = [Point(1, 103), Point(2, 102), Point(3, 108)]

    curve = drawn(points, begun_s=100, images=1)

    assert min(curve.rates) >= 0


def test_what_took_no_time_has_no_curve():
    curve = drawn([Point(5, 100.5)], begun_s=100, images=1)

    assert (curve.times, curve.rates, curve.now) == ((), (), 0.0)
