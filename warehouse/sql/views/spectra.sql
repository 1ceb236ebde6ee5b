-- comment: One row per content hash and slice: raw eigenvalues, read from the Parquet parts
-- Eigenvalues stay in Parquet; the index says which part counts, so that the same bytes in two models give one spectrum.
-- Files are those beside the database, wherever it was moved; SET VARIABLE warehouse_dir where it is attached.
SELECT s.content_hash, s.unfold, s.slice_id, s.N, s.M, s.evals, s.method, s.device, s.code_version
FROM read_parquet({spectra_files}, filename = true) AS s
JOIN spectra_index AS i ON i.content_hash = s.content_hash AND i.unfold = s.unfold AND i.code_version = s.code_version
    AND i.written = s.written AND ends_with(s.filename, i.file)
