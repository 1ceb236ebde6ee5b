"""What a job keeps: results as Arrow rows, its own row in `runs`, where a number comes from."""
