"""Measurements as ratios: `python -m bench [a b c d]`, or `make bench` for all of them."""
