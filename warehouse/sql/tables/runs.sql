-- comment: One row per run of a job
-- One row per run.
SELECT * EXCLUDE (written, filename)
FROM raw_runs
QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY written DESC, filename) = 1
ORDER BY started, run_id
