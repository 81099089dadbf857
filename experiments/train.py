"""The job `mammo-jax train`, as `python -m experiments.train`."""

from mammo_jax.jobs.train import main

if __name__ == "__main__":
    main()
