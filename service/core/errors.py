"""Every error this system raises on purpose.

* ServiceError
  * RequestError              the caller can fix it
    * InvalidRequest          a field or body is wrong; `code` says how
      * UnknownModel
      * BadImage              not an image we take; a provider's becomes a BadOutput
      * InvalidReference      a link that leads to no image we can have
      * LineTooLong
    * Unauthenticated         no key, or not one of ours
    * Forbidden               a key of ours that may not do this
    * NotFound                nothing of that id, or somebody else's
      * JobNotFound
      * FileNotFound
      * BatchNotFound
    * Deleted                 it was the caller's, and it is gone
      * JobDeleted
      * BatchDeleted
    * AlreadyFinished
    * NotFinished             for jobs and batches that are final only
    * RequestGone             what a job was to draw is not kept any more
    * BatchOver               no more of its lines begin
    * NotHeld                 nobody has to release this job
    * EndpointDisabled        it hears of nothing until it is enabled
    * IdempotencyMismatch     the key was used for other content
    * UrlExpired              a signed URL was right, and its time has passed
    * InvalidSignature        a URL we did not sign, or one that was changed
    * TooMuch                 a limit of the key; later may work
  * Unavailable               our own fault; later may work
    * QueueUnavailable
    * StoreUnavailable
      * StoreRefused          waiting does not help
    * NoRoute                 no worker can call a provider of the model
  * ProviderError             one attempt went wrong upstream
    * ProviderUnavailable     later may work
      * ProviderThrottled     later may work, at the time it names
    * ProviderAmbiguous       sent, and no answer: it may have been done and billed
    * BadOutput               it answered, but not with the images asked for
    * ProviderRefused         this route will never say yes; try the next
    * PromptRejected          no route will say yes; stop
  * CatalogError              the catalog file is wrong

A class is chosen by what the catcher does next, never by what the upstream
called it. Transports map classes to status codes in their own module. `code`
is the stable public name of one case; messages may change.
"""

from datetime import timedelta


class ServiceError(Exception):
    """Root of the tree; `code` is the stable name clients see."""

    code: str = "internal"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class RequestError(ServiceError):
    """The caller can fix this by sending something else.

    Attributes:
        param: The field at fault, such as `size`; None where no single one is.
    """

    code = "invalid_request"

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.param = param


class InvalidRequest(RequestError):
    """A body, header or field is wrong; `code` says how."""


class UnknownModel(InvalidRequest):
    """The catalog has no model of that name."""

    code = "unknown_model"


class BadImage(InvalidRequest):
    """The bytes are not one whole, still image of a kind and size that we take.

    Codes: `unsupported_image`, `image_too_large`, `animated_image`, `invalid_image`.
    """

    code = "invalid_image"


class InvalidReference(InvalidRequest):
    """The request is sound, and a link in it leads to no image that we take.

    Codes: `reference_unreachable` (whatever the reason), `reference_not_image`,
    `reference_too_large`.
    """

    code = "reference_unreachable"


class LineTooLong(InvalidRequest):
    """A line of a text is longer than any we take.

    Attributes:
        line: Its number, from 1 on.
    """

    code = "line_too_long"

    def __init__(self, message: str, *, line: int) -> None:
        super().__init__(message)
        self.line = line


class Unauthenticated(RequestError):
    """No key, or one that is not (any longer) valid."""

    code = "invalid_key"


class Forbidden(RequestError):
    """The key is valid and may not do this."""

    code = "key_scope"


class NotFound(RequestError):
    """Never made, or somebody else's: the two look the same."""

    code = "not_found"


class JobNotFound(NotFound):
    """There is no such job, or it is somebody else's."""


class FileNotFound(NotFound):
    """Never made, somebody else's, deleted or expired: all look the same."""


class BatchNotFound(NotFound):
    """There is no such batch, or it is somebody else's."""


class Deleted(RequestError):
    """It was the caller's, and it is gone."""

    code = "deleted"


class JobDeleted(Deleted):
    """The job was removed, by its owner or by its age."""


class BatchDeleted(Deleted):
    """The batch was removed by its age."""


class AlreadyFinished(RequestError):
    """The job is final; what was asked would change that."""

    code = "already_finished"


class NotFinished(RequestError):
    """The job is under way; what was asked is for those that are final."""

    code = "not_finished"


class RequestGone(RequestError):
    """The job is there, and what it was to draw, or from what, is not kept any more."""

    code = "request_gone"


class BatchOver(RequestError):
    """The batch was called off, or is over; its lines begin no more."""

    code = "batch_over"


class BatchBegunAnew(BatchOver):
    """Another call of the same name took over; once that is through, both find it."""


class EndpointDisabled(RequestError):
    """The endpoint is to hear of nothing; what was asked would tell it something."""

    code = "endpoint_disabled"


class NotHeld(RequestError):
    """The job waits by itself, runs or is final: there is nothing to release."""

    code = "not_held"


class IdempotencyMismatch(RequestError):
    """The idempotency key was used for a request with other content."""

    code = "idempotency_mismatch"


class UrlExpired(RequestError):
    """The URL was signed by us and its time has passed; ask for a fresh one."""

    code = "url_expired"


class InvalidSignature(RequestError):
    """The URL was not signed by us, or it was changed since."""

    code = "invalid_signature"


class TooMuch(RequestError):
    """A limit of the caller's key; the same request may pass later.

    Codes: `rate_limited`, `queue_full`, `quota_exceeded`.

    Attributes:
        retry_after: When it may pass.
    """

    code = "rate_limited"

    def __init__(self, message: str, *, code: str, retry_after: timedelta) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class Unavailable(ServiceError):
    """Something of ours is away; the same request may pass later.

    Attributes:
        retry_after: When to try again.
    """

    code = "unavailable"

    def __init__(
        self, message: str, *, retry_after: timedelta = timedelta(seconds=2)
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QueueUnavailable(Unavailable):
    """Redis is away, refuses writes, or holds all the jobs it may."""

    code = "queue_unavailable"


class StoreUnavailable(Unavailable):
    """The image store did not do what it was asked; the bytes are not there."""

    code = "store_unavailable"


class StoreRefused(StoreUnavailable):
    """It answered that it will not, which nobody but an operator can change."""


class NoRoute(Unavailable):
    """Workers are alive, and none of them can call a provider of the model."""

    code = "no_route"


class ProviderError(ServiceError):
    """One attempt went wrong upstream.

    The message is ours, never the upstream's text: it reaches the caller.

    Attributes:
        upstream_id: The provider's own id of the request, where it gave one.
        billed: Whether the provider charges for it all the same.
    """

    code = "provider_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        upstream_id: str | None = None,
        billed: bool = False,
    ) -> None:
        super().__init__(message, code=code)
        self.upstream_id = upstream_id
        self.billed = billed


class ProviderUnavailable(ProviderError):
    """Later may work: it was down, overloaded, or never took the request."""

    code = "provider_unavailable"


class ProviderThrottled(ProviderUnavailable):
    """The provider asked for patience.

    Attributes:
        retry_after: How long it asked us to wait; None when it did not say.
    """

    code = "provider_throttled"

    def __init__(
        self,
        message: str,
        *,
        retry_after: timedelta | None = None,
        upstream_id: str | None = None,
    ) -> None:
        super().__init__(message, upstream_id=upstream_id)
        self.retry_after = retry_after


class ProviderAmbiguous(ProviderError):
    """The request was sent whole and no answer came: it may have been billed."""

    code = "provider_ambiguous"


class BadOutput(ProviderError):
    """An answer without usable images: none, half ones, or not images at all."""

    code = "provider_bad_output"


class ProviderRefused(ProviderError):
    """This route will never say yes: key, credit or parameters; try the next.

    Codes: `provider_auth`, `provider_billing`, `provider_invalid_request`.
    """

    code = "provider_refused"


class PromptRejected(ProviderError):
    """The provider's policy forbids the content; other routes only where asked for."""

    code = "content_policy"


class CatalogError(ServiceError):
    """The catalog file is wrong; the message names file, key path and reason."""

    code = "invalid_catalog"
