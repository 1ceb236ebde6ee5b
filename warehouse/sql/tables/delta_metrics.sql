-- comment: One row per layer of a comparison that was kept: how far it moved from its base, and the spectrum of that
SELECT * EXCLUDE (filename)
FROM raw_delta_metrics
QUALIFY row_number() OVER (PARTITION BY model_id, base_id, longname, profile ORDER BY written DESC, filename) = 1
ORDER BY model_id, base_id, profile, longname
