"""The job `mammo-jax compare`, as `python -m experiments.compare`."""

from mammo_jax.jobs.compare import main

if __name__ == "__main__":
    main()
