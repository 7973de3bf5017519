"""Whether hosts can be reached: name, connection, certificate; no request is made.

Each is tried in a thread of its own that nobody waits for in the end: a name server
that is silent holds whoever asks it for much longer than a person at a terminal.
"""

import socket
import ssl
import time
from collections.abc import Mapping
from threading import Thread
from urllib.parse import urlsplit

_WITHIN_S = 3.0
_PORTS = {"http": 80, "https": 443}


def reach(
    urls: Mapping[str, str], *, within_s: float = _WITHIN_S
) -> dict[str, str | None]:
    """Return by name why the host of a URL cannot be reached; None: it can.

    All at once, and together no longer than `within_s`.
    """
    troubles: dict[str, str | None] = dict.fromkeys(
        urls, f"no answer within {within_s:g} s"
    )

    def knock(name: str) -> None:
        troubles[name] = _trouble(urls[name], within_s)

    deadline = time.monotonic() + within_s
    threads = [Thread(target=knock, args=(name,), daemon=True) for name in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(troubles)


def _trouble(url: str, within_s: float) -> str | None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        port = parts.port or _PORTS[parts.scheme]
        with socket.create_connection((host, port), timeout=within_s) as connection:
            if parts.scheme == "https":
                context = ssl.create_default_context()
                context.wrap_socket(connection, server_hostname=host).close()
    except ssl.SSLCertVerificationError as exc:
        return f"its certificate is not to be trusted ({exc.verify_message})"
    except ssl.SSLError:
        return "it does not speak TLS"
    except socket.gaierror:
        return "there is no such host"
    except TimeoutError:
        return f"no answer within {within_s:g} s"
    except (OSError, ValueError) as exc:  # ValueError: no name or port at all
        return getattr(exc, "strerror", None) or str(exc)
    return None
