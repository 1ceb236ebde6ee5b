-- comment: One row per model and relative: what the newest run of kin says one is of the other
SELECT * EXCLUDE (filename)
FROM raw_kinship
QUALIFY rank() OVER (ORDER BY written DESC, filename) = 1
ORDER BY model_id, p_adjusted, cosine DESC, relative_id
