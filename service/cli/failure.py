"""The one way a command ends early."""


class Failure(Exception):
    """Why a command stopped, in one sentence for the person who typed it.

    Attributes:
        what: The sentence without its remedy.
        remedy: What that person can do; None where `what` says it all.
        exit_code: 1: what was asked for failed; 2: usage or configuration.
    """

    def __init__(
        self, what: str, *, remedy: str | None = None, exit_code: int = 1
    ) -> None:
        super().__init__(what if remedy is None else f"{what}: {remedy}")
        self.what, self.remedy, self.exit_code = what, remedy, exit_code
