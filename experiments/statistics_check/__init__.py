"""The verdict's error rate, by simulation: studies with a known loss, judged as `evaluate` judges them."""
