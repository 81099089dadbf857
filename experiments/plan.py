"""The job `mammo-jax plan`, as `python -m experiments.plan`."""

from mammo_jax.jobs.plan import main

if __name__ == "__main__":
    main()
