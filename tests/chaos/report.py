"""What a run came to: figures, and whatever broke a promise."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

_SHOWN = 5


@dataclass
class Report:
    """Figures in the order they were found, and faults in words."""

    title: str
    figures: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.faults

    def note(self, **figures: Any) -> None:
        """Write figures down."""
        self.figures |= figures

    def expect_none(self, name: str, found: Collection[Any]) -> None:
        """Write down how many there are; each is a fault."""
        self.figures[name] = len(found)
        self.faults += [f"{name}: {item}" for item in list(found)[:_SHOWN]]

    def expect(self, *, that: bool, otherwise: str) -> None:
        """Add a fault unless it holds."""
        if not that:
            self.faults.append(otherwise)

    def as_json(self) -> str:
        return json.dumps(
            {"scenario": self.title, "good": self.is_good}
            | {"figures": self.figures, "faults": self.faults}
        )

    def as_table(self) -> str:
        width = max(map(len, self.figures), default=0)
        lines = [self.title, "-" * len(self.title)]
        for name, value in self.figures.items():
            shown = f"{value:.2f}" if isinstance(value, float) else value
            lines.append(f"{name.replace('_', ' '):<{width}}  {shown}")
        lines += [f"BROKEN  {fault}" for fault in self.faults]
        return "\n".join([*lines, "kept" if self.is_good else "NOT KEPT"])
