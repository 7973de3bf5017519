"""Names that have occurred, a million of them in little memory."""

from array import array

_FIRST_SLOTS = 1024


class Names:
    """Knows names by 64 bits of their hash, in a table with open addressing.

    A million take 16 MB, a set of them ten times that. Two different names are taken
    for one in one of thirty million such batches.
    """

    def __init__(self) -> None:
        self._slots, self._used = array("q", bytes(8 * _FIRST_SLOTS)), 0

    def add(self, name: str) -> bool:
        """Take one in; return whether it is new."""
        if 2 * self._used >= len(self._slots):
            old, self._slots = self._slots, array("q", bytes(16 * len(self._slots)))
            for each in old:
                if each:
                    self._slots[self._place(each)] = each
        number = hash(name) or 1
        place = self._place(number)
        is_new = not self._slots[place]
        self._slots[place] = number
        self._used += is_new
        return is_new

    def _place(self, number: int) -> int:
        mask = len(self._slots) - 1
        at = number & mask
        while self._slots[at] not in {0, number}:
            at = (at + 1) & mask
        return at
