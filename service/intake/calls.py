"""A call as the front door understood it, and the job that it would make."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from service import tracing
from service.accounts import ApiKey
from service.batches import line_job_id
from service.core.catalog import Catalog, Model, Route
from service.core.jobs import new_job_id
from service.core.requests import Priority
from service.intake.compose import Composed
from service.intake.routing import gated
from service.intake.terms import Terms
from service.job_store.records import NewJob


class Call(NamedTuple):
    """What was called for, by whom, and how.

    Attributes:
        composed: What was asked for, checked.
        catalog: Against which; it may be another one by now.
        key: Who calls.
        terms: How the job is to be run.
        content: Equal for equal calls; empty where nobody may repeat this one.
    """

    composed: Composed
    catalog: Catalog
    key: ApiKey
    terms: Terms
    content: str

    @property
    def model(self) -> Model:
        """What is asked for, as the catalog has it."""
        return self.catalog.model(self.composed.request.model)

    def to_job(self, routes: Sequence[Route]) -> NewJob:
        """Return the job, whose routes are tried in this order.

        A line of a batch has the same id whoever makes it.
        """
        key, terms, place = self.key, self.terms, self.terms.place
        request = self.composed.request
        if terms.partial_images:
            request = replace(request, partial_images=terms.partial_images)
        return NewJob(
            id=line_job_id(place.batch_id, place.line) if place else new_job_id(),
            account=key.account,
            key_id=key.id,
            priority=Priority.INTERACTIVE if terms.awaited else terms.priority,
            request=request,
            routes=gated(routes, self.model, self.catalog),
            weight=key.weight,
            units=self.composed.units,
            quota=key.quota_units,
            most_queued=key.queued_jobs,
            most_running=key.running_jobs,
            start_within=terms.start_within,
            metadata=terms.metadata,
            idempotency_name=terms.idempotency_name,
            content_hash=self.content,
            cache_key=terms.cache_key,
            ephemeral=terms.ephemeral,
            webhook=terms.webhook,
            place=place,
            alias=terms.alias,
            retry_of=terms.retry_of,
            on_ambiguous=key.on_ambiguous,
            traceparent=tracing.current(),
        )
