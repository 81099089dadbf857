"""The job `mammo-jax prepare`, as `python -m experiments.prepare`."""

from mammo_jax.jobs.prepare import main

if __name__ == "__main__":
    main()
