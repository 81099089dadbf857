"""From a codestream to pixels: markers, packets, block decoding, inverse transform."""
