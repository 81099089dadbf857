"""Statistics: from a table of predictions to AUROC, intervals and a verdict."""
