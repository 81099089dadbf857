"""The job `mammo-jax power`, as `python -m experiments.power`."""

from mammo_jax.jobs.power import main

if __name__ == "__main__":
    main()
