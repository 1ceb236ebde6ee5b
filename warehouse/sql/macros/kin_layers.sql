-- comment: Table: two models layer by layer: cosine and relative distance by their sketches, whether bytes are equal
-- Layers are matched by name and size; the verb kin also matches renamed and moved ones. A layer of zeros has
-- no cosine.
(model_a, model_b) AS TABLE
SELECT a.longname, nullif(list_cosine_similarity(a.sketch, b.sketch), 'nan') AS cosine,
    list_distance(a.sketch, b.sketch) / nullif(sqrt(list_dot_product(b.sketch, b.sketch)), 0) AS distance,
    a.content_hash = b.content_hash AS same_bytes
FROM layer_sketches AS a
JOIN layer_sketches AS b ON a.longname = b.longname AND a.elements = b.elements
WHERE a.model_id = model_a AND b.model_id = model_b
ORDER BY a.layer_id
