-- comment: One row per stored spectrum, without its eigenvalues
-- columns: spectra
-- Which stored spectrum counts for each content and unfold rule, and the part that holds it.
SELECT content_hash, unfold, count(*) AS num_slices, max(N) AS N, max(M) AS M, max(method) AS method,
    max(device) AS device, code_version, written, filename AS file
FROM raw_spectra
GROUP BY content_hash, unfold, code_version, written, filename
QUALIFY row_number()
    OVER (PARTITION BY content_hash, unfold ORDER BY written DESC, code_version DESC, filename) = 1
ORDER BY content_hash, unfold
