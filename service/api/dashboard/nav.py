"""The places of the dashboard, in the order of the rail."""

from typing import NamedTuple

from service.accounts import ApiKey, Scope


class Place(NamedTuple):
    """One entry of the rail.

    Attributes:
        path: Where it leads; also its icon and, behind `g`, its letter.
        name: What it is called.
        letter: `g` and this lead there.
        scope: Who sees it; None: everybody who has signed in.
    """

    path: str
    name: str
    icon: str
    letter: str
    scope: Scope | None = None


PLACES = (
    Place("/ui/playground", "Playground", "playground", "p", Scope.GENERATE),
    Place("/ui/jobs", "Jobs", "jobs", "j", Scope.GENERATE),
    Place("/ui/batches", "Batches", "batches", "b", Scope.GENERATE),
    Place("/ui/gallery", "Gallery", "gallery", "l", Scope.GENERATE),
    Place("/ui/queue", "Queue", "queue", "q", Scope.ADMIN),
    Place("/ui/providers", "Providers", "providers", "r"),
    Place("/ui/webhooks", "Webhooks", "webhooks", "w", Scope.GENERATE),
    Place("/ui/keys", "Keys & usage", "keys", "k"),
    Place("/ui/system", "System", "system", "s", Scope.ADMIN),
)


def places_of(key: ApiKey) -> list[Place]:
    """Return where the key may go."""
    return [p for p in PLACES if p.scope is None or p.scope in key.scopes]
