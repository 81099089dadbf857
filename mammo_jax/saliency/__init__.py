"""Where a network looks: attribution maps, how far compression moves them, and whether they can be believed."""
