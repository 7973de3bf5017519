"""Where the process of one job begins: `python -m workers.apart`.

Ends with its worker from its first moment on. Its imports take a second of a processor,
and where workers die one after the other, children that find out only behind them keep
the machine so busy that more workers are lost.
"""

import os
import select
import sys
import threading


def _end_with_worker() -> None:
    orders = select.poll()
    orders.register(sys.stdin.fileno(), 0)  # nothing but its hangup, data or not
    orders.poll()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_worker, daemon=True).start()
    from workers.alone import main

    raise SystemExit(main())
