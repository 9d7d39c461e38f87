"""One file a subject; each has `measure(bench)`, which adds tables and ratios to the bench's report."""
