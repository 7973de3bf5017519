"""Names of lines, which must not occur twice in a batch."""

from service.intake.names import Names


def test_each_name_is_new_once_however_many_there_are():
    names = Names()

    first = [names.add(f"line-{number}") for number in range(5000)]
    again = [names.add(f"line-{number}") for number in range(5000)]

    assert all(first)
    assert not any(again)
    assert names.add("another")
