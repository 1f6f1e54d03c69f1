"""A whole installation in one thread: production code on a database in memory, under a clock and scheduler of ours."""
