-- comment: One row: what this generation was made of
SELECT * FROM raw_generation
