"""The job `mammo-jax send`, as `python -m experiments.send`."""

from mammo_jax.jobs.send import main

if __name__ == "__main__":
    main()
