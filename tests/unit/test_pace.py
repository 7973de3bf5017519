"""How long until so many jobs are through, as far as the last ones tell."""

from service.waiters import Pace


class _Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def _pace(*, per_s: float, seconds: int) -> tuple[Pace, _Clock]:
    """Return what has seen so many jobs end a second, for so long."""
    clock = _Clock()
    pace = Pace(clock)
    for _ in range(round(per_s * seconds)):
        clock.now_s += 1 / per_s
        pace.count()
    return pace, clock


def test_a_door_that_just_opened_knows_the_pace_as_well_as_an_old_one():
    young, _ = _pace(per_s=10, seconds=3)
    old, _ = _pace(per_s=10, seconds=300)

    assert young.eta_s(100) == old.eta_s(100) == 10


def test_nobody_knows_how_long_it_takes_before_anything_has_ended():
    pace = Pace(_Clock())

    assert pace.eta_s(1) is None


def test_what_ended_long_ago_says_nothing_of_the_next():
    pace, clock = _pace(per_s=1, seconds=10)

    clock.now_s += 300

    assert pace.eta_s(1) is None
