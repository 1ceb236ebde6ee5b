-- comment: Whether a layer of this type belongs in means: no embeddings, no parts of fused matrices, nothing in left_out
-- q, k and v are layers beside their fused matrix: the means count the matrix, as WeightWatcher does. What else is out
-- is the profile's to say, by its column left_out: types of layers, and degenerate_tail for fits that are marked so.
(layer_type, left_out := NULL, degenerate_tail := false) AS
coalesce(layer_type <> 'embedding' AND NOT ends_with(layer_type, '_part'), true)
    AND NOT coalesce(list_contains(string_split(left_out, ', '), layer_type), false)
    AND NOT coalesce(degenerate_tail AND list_contains(string_split(left_out, ', '), 'degenerate_tail'), false)
