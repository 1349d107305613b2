"""What completion costs, as ratios that are measured within one run: `python -m benchmarks`."""
