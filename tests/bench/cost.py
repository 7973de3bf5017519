"""What processes cost: their time on a processor, as the kernel of Linux counts it."""

import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES = 1, slice(11, 15)
"""Fields behind the name: user and system time, own and of children waited for."""


def cpu_s(pids: Iterable[int]) -> float:
    """Return the seconds these processes, and all below them, have had so far."""
    spent_s, children = dict[int, float](), dict[int, list[int]]()
    for stat in PROC.glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it ended just now
            continue
        pid = int(stat.parent.name)
        spent_s[pid] = sum(map(int, fields[_TIMES])) * _TICK_S
        children.setdefault(int(fields[_PARENT]), []).append(pid)
    family, todo = set[int](), list(pids)
    while todo:
        family.add(pid := todo.pop())
        todo += children.get(pid, [])
    return sum(spent_s.get(pid, 0.0) for pid in family)
