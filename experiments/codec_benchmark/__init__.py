"""What the codec's benchmark measures; `experiments/benchmark_codec.py` runs it."""
