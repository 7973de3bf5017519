"""Credentials to sign with: botocore finds and renews them, we keep that off the loop.

Renewal asks a metadata service or STS and blocks. It therefore runs in a thread, and
early: until it is done the old credentials sign on. Only a caller that comes when
there are none at all waits.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from botocore.credentials import (
    Credentials,
    ReadOnlyCredentials,
    RefreshableCredentials,
)
from botocore.exceptions import BotoCoreError, ClientError

from service.core.errors import StoreUnavailable

log = structlog.get_logger()

MARGIN = timedelta(minutes=1)
"""Credentials that end within this are not signed with."""
_EARLY = timedelta(minutes=15)  # not later than botocore itself would renew
_PAUSE_S = 30
_REFUSALS = (BotoCoreError, ClientError, RuntimeError, OSError)


class Held(NamedTuple):
    """One consistent set; `expires_at` is None for a key that does not end."""

    frozen: ReadOnlyCredentials
    expires_at: datetime | None


class CredentialSource:
    """Keeps one set in hand; `load` is called in a thread until it returns one."""

    def __init__(self, load: Callable[[], Credentials | None]) -> None:
        self._load = load
        self._source: Credentials | None = None
        self._held: Held | None = None
        self._lock = threading.Lock()
        self._next_renewal = 0.0

    def now(self) -> Held:
        """Return credentials that last; blocks only when there are none in hand.

        Raises:
            StoreUnavailable: None can be found, or they cannot be renewed.
        """
        if self._held is None or self._ends_within(MARGIN):
            return self._renewed()
        if self._ends_within(_EARLY) and time.monotonic() > self._next_renewal:
            self._next_renewal = time.monotonic() + _PAUSE_S
            threading.Thread(target=self._renew_early, daemon=True).start()
        return self._held

    async def fresh(self) -> Held:
        """Do as `now` does, and never hold up the loop."""
        if self._held is None or self._ends_within(MARGIN):
            return await asyncio.to_thread(self._renewed)
        return self.now()

    def _ends_within(self, time_left: timedelta) -> bool:
        source = self._source
        return isinstance(source, RefreshableCredentials) and source.refresh_needed(
            refresh_in=int(time_left.total_seconds())
        )

    def _renewed(self) -> Held:
        with self._lock:
            if self._held is None or self._ends_within(MARGIN):
                self._held = self._fetch()
            return self._held

    def _renew_early(self) -> None:
        with self._lock:
            try:
                self._held = self._fetch()
            except StoreUnavailable as exc:
                log.warning("credentials.renewal_failed", reason=str(exc))

    def _fetch(self) -> Held:
        try:
            self._source = self._source or self._load()
            if self._source is None:
                raise StoreUnavailable(
                    "no credentials for the image store: set "
                    "DARKROOM_STORAGE__ACCESS_KEY_ID and "
                    "DARKROOM_STORAGE__SECRET_ACCESS_KEY, or give this machine a role"
                )
            frozen = self._source.get_frozen_credentials()
        except _REFUSALS as exc:
            raise StoreUnavailable(
                f"credentials for the image store cannot be had: {exc}"
            ) from exc
        # botocore tells nobody when its credentials end but in this attribute.
        return Held(frozen, getattr(self._source, "_expiry_time", None))
