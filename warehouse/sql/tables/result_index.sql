-- comment: One row per tensor and result that is kept: a profile's metrics by every version of the code, or its sketch
-- columns: layer_metrics
-- What need not be computed again.
SELECT content_hash, unfold, profile_key, code_version, coalesce(bool_or(outcome = 'filtered'), false) AS filtered
FROM raw_layer_metrics
GROUP BY content_hash, unfold, profile_key, code_version
UNION ALL
SELECT content_hash, 'sketch' AS unfold, 'sketch' AS profile_key, code_version, false AS filtered FROM sketches
ORDER BY content_hash, unfold, profile_key, code_version
