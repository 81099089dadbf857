"""The job `mammo-jax saliency`, as `python -m experiments.saliency`."""

from mammo_jax.jobs.saliency import main

if __name__ == "__main__":
    main()
