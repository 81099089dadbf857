"""The job `mammo-jax observer`, as `python -m experiments.observer`."""

from mammo_jax.jobs.observer import main

if __name__ == "__main__":
    main()
