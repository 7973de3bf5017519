"""What is wrong with a backend, and what to do about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """One thing that is not as it should be.

    Attributes:
        subject: `redis` or `store`.
        breaks: A promise would be broken; otherwise it is only not certain.
    """

    subject: str
    text: str
    remedy: str
    breaks: bool = True

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}: {self.remedy}"
