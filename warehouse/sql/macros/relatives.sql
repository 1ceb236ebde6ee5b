-- comment: Table: what models that match a glob descend from, or what descends from them, by the newest run of kin
(model_glob) AS TABLE
SELECT model_id, relative_id, verdict, cosine, distance, equal_bytes, equal_spectra, p_adjusted, evidence
FROM kinship
WHERE model_id GLOB model_glob AND verdict NOT IN ('independent', 'undetermined')
ORDER BY model_id, cosine DESC, relative_id
