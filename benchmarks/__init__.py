"""What completion costs, each as a ratio taken within one run: `python -m benchmarks`."""
