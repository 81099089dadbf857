"""The job `mammo-jax scores-template`, as `python -m experiments.scores_template`."""

from mammo_jax.jobs.scores_template import main

if __name__ == "__main__":
    main()
