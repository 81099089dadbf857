"""The job `mammo-jax scan`, as `python -m experiments.scan`."""

from mammo_jax.jobs.scan import main

if __name__ == "__main__":
    main()
