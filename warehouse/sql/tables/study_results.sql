-- comment: One row per cell of a study's table
-- One row per cell of a study's table.
SELECT * EXCLUDE (written, filename)
FROM raw_study_results
ORDER BY ALL
