"""Benchmarks: the table of what Converge may cost, measured beside its peers in the same run.

    python -m tests.bench                 everything; `make bench` installs the peers first
    python -m tests.bench --quick         small sizes and few runs: shows that it works, its figures are rough
    python -m tests.bench --only NAME     one benchmark; may be given more than once
    python -m tests.bench --list          the names

Each benchmark runs in a process of its own, in a home of its own that is removed afterwards. Nothing here asserts a
time: a goal that is missed is printed with the functions that cost most.
"""
