"""The classifiers: Flax linen modules that map [batch, rows, columns, 1] to one logit an image."""
