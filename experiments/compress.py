"""The job `mammo-jax compress`, as `python -m experiments.compress`."""

from mammo_jax.jobs.compress import main

if __name__ == "__main__":
    main()
