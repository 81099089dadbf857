"""The dataset: from mammograms to folds, units and records, and from records to batches."""
