"""Training: one network, all networks of a study, and what is kept of them."""
