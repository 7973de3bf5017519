"""The secret that signs local image URLs: one file, one for all processes.

It is written under another name and then linked into place, which fails when
somebody was faster: no process ever reads half a secret, and all read the same one.
"""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from service.core.signing import SECRET_BYTES
from service.settings import ConfigurationError

_NAME = "signing.key"


def signing_secret(data_dir: Path) -> bytes:
    """Return the secret of the data folder, made on the first call ever.

    Raises:
        ConfigurationError: The folder cannot be used, or the file is damaged.
    """
    path = data_dir / _NAME
    try:
        if not path.exists():
            _make(path)
        secret = path.read_bytes()
    except OSError as exc:
        raise ConfigurationError(
            f"cannot keep the signing secret in {path}: {exc.strerror}: make the "
            "folder writable, or set DARKROOM_DATA_DIR"
        ) from exc
    if len(secret) != SECRET_BYTES:
        raise ConfigurationError(
            f"{path} is damaged, it has {len(secret)} bytes instead of {SECRET_BYTES}: "
            "delete it and restart; image URLs given out so far will stop working"
        )
    return secret


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp opens with O_EXCL and mode 0600, and the link keeps both.
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{_NAME}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()
