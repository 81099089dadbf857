"""The package in Python: thin classes and functions over the jobs, listed and exported lazily by `mammo_jax`.

Settings become the flags of the command line and are read by its parsers, so that both have the same presets, defaults
and refusals, and config.json has the command that makes the run again.
"""
