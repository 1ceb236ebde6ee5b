-- What the newest run of kin says of every pair of candidates.
SELECT model_id, relative_id, verdict, cosine, p_adjusted
FROM kinship
ORDER BY model_id, relative_id
