"""Every way in which a call can end other than well.

* DarkroomError
  * Unreachable          no answer in time: nobody knows whether it was done
  * NotDarkroom          what answers at that URL does not speak like Darkroom
  * Refused              the front door said no; `code` says why
    * Unauthenticated    no key, or none that works
    * Forbidden          a key that may not do this
    * NotFound           never made, or somebody else's
      * Deleted          it was yours, and it is gone
    * Conflict           it is final, or the idempotency key had another content
    * Busy               a limit of the key; later may work
      * QuotaExceeded    not before the next period
    * Unavailable        something of the service is away; later may work
  * StillRunning         you did not want to wait longer; the work goes on
  * JobFailed            the job ended without images
  * InvalidWebhook       not signed with that secret, changed, or too old

A `Refused` of no further class is a request to be corrected: `param` names the field.
Codes are those of docs/errors.md, and stable.
"""

from collections.abc import Mapping

import httpx

from service.client.objects import Batch, Job


class DarkroomError(Exception):
    """Root of the tree.

    Attributes:
        code: The stable name of the case.
    """

    code = "client_error"


class Unreachable(DarkroomError):
    """No answer came within the client's patience."""

    code = "unreachable"


class NotDarkroom(DarkroomError):
    """An answer came that no front door gives."""

    code = "not_darkroom"


class Refused(DarkroomError):
    """The front door said no; the message is its own.

    Attributes:
        status: Of HTTP.
        param: The field at fault, where it named one.
        request_id: What to ask the operator about.
        retry_after_s: After how long it may work, where it said so.
        job_id: The job that the call made or found all the same.
        may_pass: The same call may work later; there was no patience left.
    """

    may_pass = False

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        param: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        job_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param
        self.request_id, self.job_id = request_id, job_id
        self.retry_after_s = retry_after_s


class Unauthenticated(Refused):
    """No key, or none that works."""


class Forbidden(Refused):
    """The key is valid and may not do this."""


class NotFound(Refused):
    """Never made, or somebody else's."""


class Deleted(NotFound):
    """It was yours, and it is gone."""


class Conflict(Refused):
    """It is final, or the idempotency key was used for other content."""


class Busy(Refused):
    """A limit of the key; the same call may work later."""


class QuotaExceeded(Busy):
    """The key's quota of this period is used up."""


class Unavailable(Refused):
    """Something of the service is away; the same call may work later."""


class StillRunning(DarkroomError):
    """The time to wait is over; the work goes on.

    Attributes:
        work: The job or batch as it stood last.
    """

    code = "still_running"

    def __init__(self, work: Job | Batch) -> None:
        super().__init__(f"{work.id} is {work.status} and goes on")
        self.work = work


class JobFailed(DarkroomError):
    """The job ended without images; `code` is that of its error, or its status.

    Attributes:
        job: The job.
    """

    def __init__(self, job: Job) -> None:
        why = job.error.message if job.error else f"the job is {job.status}"
        super().__init__(f"{job.id}: {why}")
        self.job = job
        self.code = job.error.code if job.error else job.status


class InvalidWebhook(DarkroomError):
    """Not signed with this secret, changed on the way, or too old or new."""

    code = "invalid_webhook"


_BY_CODE: Mapping[str, type[Refused]] = {
    "idempotency_mismatch": Conflict,
    "quota_exceeded": QuotaExceeded,
}
_BY_STATUS: Mapping[int, type[Refused]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    410: Deleted,
    429: Busy,
}
_FAULT = 500


def refusal(response: httpx.Response) -> Refused:
    """Return what an answer that is no success says; its body has been read."""
    try:
        error = response.json()["error"]
        message, code, param = error["message"], error["code"], error.get("param")
    except (ValueError, KeyError, TypeError):  # a proxy's own page, most likely
        message, code, param = f"HTTP {response.status_code}", "http_error", None
    status = response.status_code
    usual = Unavailable if status >= _FAULT else Refused
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, usual)
    return kind(
        message,
        status=status,
        code=code,
        param=param,
        request_id=response.headers.get("x-request-id"),
        retry_after_s=_retry_after_s(response.headers),
        job_id=response.headers.get("x-job-id"),
    )


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * unit_s)
        except (KeyError, ValueError):  # absent, or a date, which we never send
            continue
    return None
