"""Values only: the Hydra configuration of every job."""
