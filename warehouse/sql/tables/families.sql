-- comment: One row per model: the family of kin it belongs to, by the newest run of kin
SELECT * EXCLUDE (filename)
FROM raw_families
QUALIFY rank() OVER (ORDER BY written DESC, filename) = 1
ORDER BY family, model_id
