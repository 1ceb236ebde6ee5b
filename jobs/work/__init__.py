"""Work of a job: what is missing, how it is planned and run, and how its results are kept."""
