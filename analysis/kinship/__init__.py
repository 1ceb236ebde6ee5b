"""Who descends from whom, by sketches, bytes and spectra; and of which parents a model was mixed.

records (what is compared), candidates (an inverted index on shapes, bytes and norms), match (which layer belongs to
which), null (cosines of unrelated models), pair (one verdict), recipe (regression on parents), families (clusters).
"""
