"""Training of one network and of all networks of a study, checkpoints, and trained models."""
