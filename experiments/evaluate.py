"""The job `mammo-jax evaluate`, as `python -m experiments.evaluate`."""

from mammo_jax.jobs.evaluate import main

if __name__ == "__main__":
    main()
