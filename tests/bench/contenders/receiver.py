"""A receiver of webhooks that only counts: to it every POST is welcome."""

from tests.bench.contenders._answering import run

if __name__ == "__main__":
    run(lambda head: b"HTTP/1.1 204 No Content\r\n\r\n")
