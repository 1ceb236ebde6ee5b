"""Verbs of the command, one a file, each ending in its VERB record; conf/<verb>.yaml, where present, has its values."""

VERBS = {
    "scan": "crawl a zoo, analyse what is new, load the warehouse, summarise",
    "catalog": "crawl only: models, weights, reported metrics",
    "describe": "dry run on one checkpoint: layers, matrices, cost, what is skipped and why",
    "check": "is it any good, is it whole: one screen, no warehouse needed",
    "compare": "two checkpoints of one architecture, layer by layer",
    "kin": "relatives of models: copies, permuted, quantised, fine-tuned, merged ones",
    "recipe": "of what a model was mixed: coefficients of its parents",
    "export": "recipes for other tools from stored spectra: what to train, prune, how fast, bits, ranks",
    "layer": "one layer of a warehouse: eigenvalues, fit, D against xmin, noise, as tables",
    "figure": "draw a figure of the warehouse: quality, depth, spectra, bars, and the numbers beside it",
    "report": "one self-contained page: the warehouse, a series, a model, two models, a study, a run",
    "refit": "new fits from stored spectra, for the whole warehouse",
    "study": "run a named study: its SQL, its statistics, its tables",
    "dictionary": "every table and column of the warehouse: type, unit, meaning",
    "publish": "the warehouse as a data set on the hub, one commit of what changed",
    "du": "what a warehouse weighs, by generation, code version, profile and cache",
    "gc": "remove old generations and parts that nobody needs; dry=true only says which",
    "sql": "read-only query on the warehouse",
    "completion": "print a script that completes words in bash, zsh or fish",
    "bench": "measure this machine: kernels, fits and whole layers against the peers",
}
"""Name of a verb -> what it does. The file of the same name has its VERB."""
