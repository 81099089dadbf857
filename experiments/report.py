"""The job `mammo-jax report`, as `python -m experiments.report`."""

from mammo_jax.jobs.report import main

if __name__ == "__main__":
    main()
