"""The job `mammo-jax verify`, as `python -m experiments.verify`."""

from mammo_jax.jobs.verify import main

if __name__ == "__main__":
    main()
