"""What `darkroom doctor` says: one finding a check, the worst first."""

from dataclasses import dataclass
from enum import IntEnum


class Grade(IntEnum):
    """How bad a finding is; the worst is the lowest."""

    FAILURE = 0
    WARNING = 1
    OK = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw, and what to do about it; no remedy where all is well."""

    grade: Grade
    subject: str
    text: str
    remedy: str | None = None
