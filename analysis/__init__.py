"""Arrays in, records out: spectra, power-law fits and metrics. Pure: no file, no socket, no clock."""
