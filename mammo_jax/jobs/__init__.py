"""The jobs of the command line, their typed configs and presets."""
