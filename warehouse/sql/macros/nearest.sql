-- comment: Table: models most like one by the sketches of layers that have the same name and size
(model) AS TABLE
SELECT b.model_id, count(*) AS layers, median(nullif(list_cosine_similarity(a.sketch, b.sketch), 'nan')) AS cosine,
    avg((a.content_hash = b.content_hash)::INTEGER) AS equal_bytes
FROM layer_sketches AS a
JOIN layer_sketches AS b ON a.longname = b.longname AND a.elements = b.elements AND b.model_id <> a.model_id
WHERE a.model_id = model
GROUP BY b.model_id
ORDER BY cosine DESC, b.model_id
