"""Where a bucket is, by botocore's own rules, asked once when the process starts.

AWS buckets get a host of their own (`bucket.s3.region.amazonaws.com`, in whatever
partition the region lies); anything with an endpoint of its own gets the bucket in
the path, because few of them have DNS for every bucket.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.model import Shape
from botocore.parsers import ResponseParser, ResponseParserError, create_parser
from botocore.session import Session

from service.core.errors import StoreUnavailable
from service.settings import ConfigurationError, Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One bucket as this process and its clients reach it.

    Attributes:
        url: What keys are appended to, with a slash at its end, for this process.
        public_url: The same for clients; its host is part of every signature.
    """

    name: str
    region: str
    url: str
    public_url: str
    _parser: ResponseParser
    _keys: Shape

    def listing(self, body: bytes) -> Mapping[str, Any]:
        """Read a page of keys.

        Raises:
            StoreUnavailable: It is none: something else answers at this address.
        """
        try:
            return self._parsed(HTTPStatus.OK, body)
        except ResponseParserError as exc:
            raise StoreUnavailable(
                f"what answers at {self.url} is not an S3 API: "
                "is DARKROOM_STORAGE__ENDPOINT_URL right?"
            ) from exc

    def fault_code(self, status: int, body: bytes) -> str:
        """Return the store's name of a fault, or the status when it gave none."""
        return self._parsed(status, body)["Error"].get("Code") or str(status)

    def _parsed(self, status: int, body: bytes) -> Mapping[str, Any]:
        answer = {"status_code": status, "headers": {}, "body": body}
        parsed: Mapping[str, Any] = self._parser.parse(answer, self._keys)
        return parsed


def locate(session: Session, storage: Storage) -> Bucket:
    """Work out the addresses of the bucket; no network is touched.

    Raises:
        ConfigurationError: Bucket, region or endpoint cannot be right.
    """
    public = storage.public_endpoint_url or storage.endpoint_url
    try:
        client = _client(session, storage.region, storage.endpoint_url)
        return Bucket(
            name=storage.bucket,
            region=storage.region,
            url=_url(client, storage.bucket),
            public_url=_url(_client(session, storage.region, public), storage.bucket),
            _parser=create_parser("rest-xml"),
            _keys=client.meta.service_model.operation_model(
                "ListObjectsV2"
            ).output_shape,
        )
    except (BotoCoreError, ValueError) as exc:
        raise ConfigurationError(f"the image store's address is wrong: {exc}") from exc


def _client(session: Session, region: str, endpoint: str | None) -> Any:
    config = Config(
        signature_version=UNSIGNED,  # it is asked for addresses only
        s3={
            "addressing_style": "virtual" if endpoint is None else "path",
            "us_east_1_regional_endpoint": "regional",
        },
    )
    return session.create_client(
        "s3", region_name=region, endpoint_url=endpoint, config=config
    )


def _url(client: Any, bucket: str) -> str:
    url: str = client.generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "k"}
    )
    return url.removesuffix("k")
