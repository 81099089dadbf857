"""The same networks in PyTorch, for comparisons."""
