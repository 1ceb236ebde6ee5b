-- What was not analysed in the latest revision of each model, and why: by the readers, or by a profile's filters.
SELECT * EXCLUDE (latest) FROM skipped_history WHERE latest
UNION ALL BY NAME
SELECT model_id, revision, longname AS tensor, 'too_few_eigenvalues' AS reason,
    'profile ' || profile || ': ' || num_evals || ' eigenvalues' AS detail, false AS failed
FROM layer_metrics_history
WHERE latest AND status LIKE 'skipped: fewer eigenvalues%'
