"""What callers are told of errors."""

from datetime import UTC, datetime, timedelta

import pytest

from service.api.problems import problem_of, problem_of_job
from service.core import errors
from service.core.jobs import Job, JobId, JobState
from service.core.requests import GenerationRequest, Priority


def family(kind: type[errors.ServiceError]) -> set[type[errors.ServiceError]]:
    return {kind}.union(*map(family, kind.__subclasses__()))


def example(kind: type[errors.ServiceError]) -> errors.ServiceError:
    soon = timedelta(seconds=1.2)
    if issubclass(kind, errors.TooMuch):
        return errors.TooMuch("too much", code="queue_full", retry_after=soon)
    if issubclass(kind, errors.LineTooLong):
        return errors.LineTooLong("too long", line=1)
    return kind("no")


@pytest.mark.parametrize(
    "kind",
    sorted(
        family(errors.RequestError) | family(errors.Unavailable),
        key=lambda kind: kind.__name__,
    ),
)
def test_every_error_a_caller_may_meet_has_a_status(kind):
    problem = problem_of(example(kind))

    assert problem is not None
    assert 400 <= problem.status < 600


@pytest.mark.parametrize(
    "kind", [errors.ProviderError, errors.PromptRejected, errors.CatalogError]
)
def test_errors_that_should_never_get_here_are_bugs(kind):
    assert problem_of(kind("upstream said: secret")) is None


def test_waits_are_rounded_up_to_whole_seconds():
    problem = problem_of(example(errors.TooMuch))

    assert problem.headers["Retry-After"] == "2"
    assert problem.headers["retry-after-ms"] == "1200"


@pytest.mark.parametrize("state", [JobState.CANCELED, JobState.EXPIRED])
def test_job_that_was_ended_is_not_to_be_sent_again(state: JobState):
    problem = problem_of_job(job(state))

    assert (problem.status, problem.code) == (409, state.value)
    assert problem.headers["x-should-retry"] == "false"


def test_failure_without_a_reason_is_our_own():
    problem = problem_of_job(job(JobState.FAILED))

    assert (problem.status, problem.code) == (500, "internal")


def job(state: JobState) -> Job:
    return Job(
        id=JobId("job_1"),
        account="ada",
        key_id="key_1",
        priority=Priority.NORMAL,
        state=state,
        request=GenerationRequest(model="test/test", prompt="a fox"),
        created_at=datetime.now(UTC),
    )
