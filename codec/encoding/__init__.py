"""From pixels to a codestream: transform, quantisation, block coding, rate control, packets."""
