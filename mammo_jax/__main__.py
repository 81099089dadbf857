"""`python -m mammo_jax JOB [flags]`: the same as `mammo-jax JOB [flags]`."""

from mammo_jax.jobs.command_line import main

if __name__ == "__main__":
    main()
