-- comment: One row per tensor and what is kept of it: metrics of a profile by every version of the code, sketch, spectrum
-- columns: layer_metrics
-- What need not be computed again. The profile_key of a sketch or a spectrum is that word; any version of a spectrum will
-- do, and its version is empty.
SELECT content_hash, unfold, profile_key, code_version, coalesce(bool_or(outcome = 'filtered'), false) AS filtered
FROM raw_layer_metrics
GROUP BY content_hash, unfold, profile_key, code_version
UNION ALL
SELECT content_hash, 'sketch' AS unfold, 'sketch' AS profile_key, code_version, false AS filtered FROM sketches
UNION ALL
SELECT content_hash, unfold, 'spectrum' AS profile_key, '' AS code_version, false AS filtered FROM spectra_index
ORDER BY content_hash, unfold, profile_key, code_version
