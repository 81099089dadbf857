"""What a folder of images holds, from the headers: the step before `compress` and `study`."""
