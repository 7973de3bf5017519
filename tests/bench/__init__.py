"""How fast we are next to others: `python -m tests.bench [ROW...]`.

    __main__    which rows, how often; prints, or writes docs/benchmarks.*
    rows        what is measured, each with its goals
    contenders  who is measured; each peer a script that runs in .venv-bench
    figures     repetitions, medians, ratios
    record      all samples, docs/benchmarks.json
    page        the Markdown that follows from it, with remarks.toml
    picture     its picture, docs/images/benchmarks.svg
    check       what a short run says about it
    peers       .venv-bench, made on demand
    stand       servers and processes of one measurement
    load        keeps connections of an HTTP server busy, a process of its own
    cost        what processes have had of a processor
    pngs        the images that are made

Machines are shared and noisy: the same contender moves by a factor of two between
runs. So only ratios count, of contenders that took turns in one run.
"""
