"""The job `mammo-jax receive`, as `python -m experiments.receive`."""

from mammo_jax.jobs.receive import main

if __name__ == "__main__":
    main()
