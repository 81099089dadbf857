"""One thin script a job, and the benchmarks and checks that only the repository needs."""
