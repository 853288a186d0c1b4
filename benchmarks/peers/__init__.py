"""The candidates of the benchmarks, each in its own process and environment."""
