"""Why a tensor or a model is not analysed: stable codes, each with advice. Nothing is ever skipped without one."""

from zoospectra.zoo.fetch.errors import REASONS as FETCH_REASONS

REASONS: dict[str, str] = {
    "vector": "a bias, norm or other 1-D tensor: it has no spectrum",
    "scalar": "a single number, such as a batch counter",
    "not_floating": "integer or boolean tensor: an index, a mask or a counter, not weights",
    "empty": "a tensor without elements",
    "buffer": "running statistics or a fixed table, not a trained weight",
    "optimizer_state": "optimizer state, not the model",
    "too_few_eigenvalues": "fewer eigenvalues than the profile's min_evals: norms, but no fit",
    "non_finite": "holds NaN or infinity: the checkpoint is damaged or training diverged",
    "too_large": "needs more memory than any worker has; raise the limit or use a larger machine",
    "not_the_model": "beside the model in its file: averages, masks, schedules of training",
    "quantisation_part": "scales, zeros and codes of a packed weight, used to compute its values",
    "lora_factor": "one factor of a low-rank update; the scaled product is the layer",
    "unsupported_shape": "no rule makes matrices of a tensor with this name and shape",
    "unsupported_quantisation": "packed weights of a scheme that cannot be unpacked exactly: never fitted as integers",
    "missing_reader": "the format needs a package that is not installed: pip install 'zoospectra[formats]'",
    "unsupported_dtype": "an element type that cannot be read exactly",
    "unsupported_format": "no reader for this file format",
    "unreadable": "the file is truncated, corrupt, or not what its name says",
    "unsafe": "reading it would need more memory than its size explains, or leave its folder",
    "no_tensors": "the file was read and holds no tensors",
    "worker_crashed": "the worker died on it twice: out of memory or a native crash",
    "error": "an unexpected error; please report it",
    **FETCH_REASONS,
}
