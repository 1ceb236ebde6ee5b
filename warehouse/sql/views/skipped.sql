-- comment: One row per tensor or model not analysed, and per layer and profile whose filters left it out; latest revision
-- What was not analysed in the latest revision of each model, and why: by the readers, or by a profile's filters.
SELECT * EXCLUDE (latest) FROM skipped_history WHERE latest
UNION ALL BY NAME
SELECT model_id, revision, longname AS tensor,
    CASE filtered_by WHEN 'min_M' THEN 'below_min_M' ELSE 'too_few_eigenvalues' END AS reason,
    'profile ' || profile || ': ' || N || ' x ' || M || ', ' || num_evals || ' eigenvalues' AS detail, false AS failed
FROM layer_metrics_history
WHERE latest AND outcome = 'filtered'
