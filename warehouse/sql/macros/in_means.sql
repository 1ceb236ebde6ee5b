-- comment: Whether layers of this type belong in means: no embeddings, no parts that were cut from a fused matrix
-- q, k and v are layers beside their fused matrix: the means count the matrix, as WeightWatcher does.
(layer_type) AS coalesce(layer_type <> 'embedding' AND NOT ends_with(layer_type, '_part'), true)
