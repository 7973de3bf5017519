"""How a front door feels."""

from typing import Literal

from service.api.openapi.shapes import Shape


class Alive(Shape):
    """Said as long as the process can say anything."""

    status: Literal["ok"]


class Readiness(Shape):
    """What a balancer, and an operator, wants to know."""

    status: Literal["ready", "not_ready"]
    draining: bool
    """Whether the process is about to end."""
    queue: Literal["ok", "unavailable"]
    store: Literal["ok", "unavailable", "unknown"]
    workers: int
    """How many take jobs, as they said lately; one that drains does not."""
    open_jobs: int
    starving: bool
    """There are jobs, and nobody to run them."""
