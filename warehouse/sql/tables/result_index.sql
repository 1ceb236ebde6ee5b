-- comment: One row per tensor and profile whose metrics are kept, by every version of the code
-- columns: layer_metrics
-- What need not be computed again.
SELECT content_hash, unfold, profile_key, code_version, coalesce(bool_or(outcome = 'filtered'), false) AS filtered
FROM raw_layer_metrics
GROUP BY content_hash, unfold, profile_key, code_version
ORDER BY content_hash, unfold, profile_key, code_version
