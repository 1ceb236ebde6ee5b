-- What was not analysed in the latest revision of each model, and why.
SELECT * EXCLUDE (latest) FROM skipped_history WHERE latest
