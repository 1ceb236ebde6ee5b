-- comment: One row per layer, unfold rule and slice: raw eigenvalues, by model_id and longname; the latest revision
-- columns: spectra, layers
-- Spectra are kept by content; here every layer that holds the bytes has them. Shuffled copies are rules of their own.
SELECT l.model_id, l.revision, l.layer_id, l.longname, l.layer_type, s.*
FROM layers AS l
JOIN spectra AS s USING (content_hash)
