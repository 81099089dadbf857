"""The job `mammo-jax fetch`, as `python -m experiments.fetch`."""

from mammo_jax.jobs.fetch import main

if __name__ == "__main__":
    main()
