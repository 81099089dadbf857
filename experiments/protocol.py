"""The job `mammo-jax protocol`, as `python -m experiments.protocol`."""

from mammo_jax.jobs.protocol import main

if __name__ == "__main__":
    main()
