"""Measurements as ratios: `make bench`, or `python -m bench [a b c d] [--quick]`. What they say: docs/benchmarks.md."""
