"""Model observers beside the networks: how much of a loss is in the images themselves, and what needs no image."""
