"""From settings to the one image store of this process."""

from datetime import timedelta

import aiohttp
from botocore.credentials import Credentials
from botocore.session import Session

from service.image_store import ImageStore
from service.image_store.bucket import locate
from service.image_store.credentials import CredentialSource
from service.image_store.folder import Folder
from service.image_store.local import LocalImageStore
from service.image_store.s3 import S3ImageStore
from service.image_store.secret import signing_secret
from service.settings import ConfigurationError, Settings, Storage

_ABANDONED = timedelta(hours=1)
_ATTEMPTS_IN_TIMEOUT = 3
_CONNECT_S = 5


def open_image_store(settings: Settings) -> ImageStore:
    """Return the store that the settings name; call it inside a running loop.

    Nothing is asked of it yet: `ImageStore.check` does that.

    Raises:
        ConfigurationError: The settings contradict each other or cannot be right.
    """
    if settings.storage.kind == "s3":
        return _open_s3(settings.storage)
    return open_local(settings)


def open_local(settings: Settings) -> LocalImageStore:
    """Return the store in the data folder, and tidy up after killed processes."""
    root = settings.data_dir / "images"
    Folder(root).discard_parts(older_than=_ABANDONED)
    return LocalImageStore(
        root,
        base_url=settings.base_url,
        secret=signing_secret(settings.data_dir),
        lifetime=settings.storage.url_lifetime,
    )


def _open_s3(storage: Storage) -> S3ImageStore:
    session = Session()
    bucket = locate(session, storage)
    return S3ImageStore(
        bucket,
        credentials=_credentials(session, storage),
        http=_http(storage.timeout_s),
        lifetime=storage.url_lifetime,
        timeout=timedelta(seconds=storage.timeout_s),
    )


def _credentials(session: Session, storage: Storage) -> CredentialSource:
    key, secret = storage.access_key_id, storage.secret_access_key
    if (key is None) != (secret is None):
        raise ConfigurationError(
            "DARKROOM_STORAGE__ACCESS_KEY_ID and DARKROOM_STORAGE__SECRET_ACCESS_KEY "
            "belong together: set both or neither"
        )
    if key is None or secret is None:
        return CredentialSource(session.get_credentials)
    given = Credentials(key, secret.get_secret_value())
    return CredentialSource(lambda: given)


def _http(timeout_s: float) -> aiohttp.ClientSession:
    # One attempt gets a third of the time, so that a connection that hangs is
    # given up while there is still time for another.
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(
            total=timeout_s / _ATTEMPTS_IN_TIMEOUT, sock_connect=_CONNECT_S
        ),
        headers={"Accept-Encoding": "identity", "User-Agent": "darkroom"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
