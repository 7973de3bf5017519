"""How fast we are next to others: `python -m tests.bench [ROW...]`.

    __main__    which rows, how often; prints, or writes docs/benchmarks.md
    rows        what is measured: accept, drain, latency
    contenders  who is measured; each peer a script that runs in .venv-bench
    figures     repetitions, medians, ratios, the page
    peers       .venv-bench, made on demand
    stand       servers and processes of one measurement
    load        keeps connections of an HTTP server busy, a process of its own

Machines are shared and noisy: the same contender moves by a factor of two between
runs. So only ratios count, of contenders that took turns in one run.
"""
