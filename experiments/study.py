"""The job `mammo-jax study`, as `python -m experiments.study`."""

from mammo_jax.jobs.study import main

if __name__ == "__main__":
    main()
