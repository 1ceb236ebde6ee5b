"""Why a tensor or a model is not analysed: stable codes, each with advice. Nothing is ever skipped without one."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Reason(StrEnum):
    """Why; the value is what the table `skipped` holds. Written (code, advice) or (code, advice, retried)."""

    advice: str
    """What it means, and what to do about it."""
    retried: bool
    """Whether another run may overcome it; the others are facts about the bytes."""

    def __new__(cls, code: str, advice: str = "", retried: bool = False) -> Reason:
        """One member."""
        reason = str.__new__(cls, code)
        reason._value_ = code
        reason.advice = advice
        reason.retried = retried
        return reason

    VECTOR = "vector", "a bias, norm or other 1-D tensor: it has no spectrum"
    SCALAR = "scalar", "a single number, such as a batch counter"
    NOT_FLOATING = "not_floating", "integer or boolean tensor: an index, a mask or a counter, not weights"
    EMPTY = "empty", "a tensor without elements"
    BUFFER = "buffer", "running statistics or a fixed table, not a trained weight"
    OPTIMIZER_STATE = "optimizer_state", "optimizer state, not the model"
    NOT_THE_MODEL = "not_the_model", "beside the model in its file: averages, masks, schedules of training"
    QUANTISATION_PART = "quantisation_part", "scales, zeros and codes of a packed weight, used to compute its values"
    COPY = "copy", "the bytes of another layer of the model, or their transpose: that layer is counted, this is not"
    LORA_FACTOR = "lora_factor", "one factor of a low-rank update; the scaled product is the layer"

    UNSPLIT = "unsplit", "a fused matrix that is analysed whole: how its q, k and v lie in it is not known"

    TOO_FEW_EIGENVALUES = "too_few_eigenvalues", "fewer eigenvalues than the profile's min_evals: norms, but no fit"
    BELOW_MIN_M = "below_min_M", "a matrix whose smaller side is below the profile's min_M: norms, but no fit"
    NON_FINITE = "non_finite", "holds NaN or infinity: the checkpoint is damaged or training diverged"

    UNSUPPORTED_SHAPE = "unsupported_shape", "no rule makes matrices of a tensor with this name and shape"
    UNSUPPORTED_QUANTISATION = (
        "unsupported_quantisation",
        "packed weights of a scheme that cannot be unpacked exactly: never fitted as integers",
    )
    UNSUPPORTED_PARAMETRIZATION = (
        "unsupported_parametrization",
        "factors of a weight that is computed by code, and the file does not say how: export the weight itself",
    )
    EXPANDED = "expanded", "a view that repeats few stored numbers more often than is read: save it contiguous"
    UNSUPPORTED_DTYPE = "unsupported_dtype", "an element type that cannot be read exactly"
    UNSUPPORTED_FORMAT = "unsupported_format", "no reader for this file format"
    MISSING_READER = (
        "missing_reader",
        "the format needs a package that is not installed: pip install 'zoospectra[formats]'",
    )
    UNREADABLE = "unreadable", "the file is truncated, corrupt, or not what its name says"
    UNSAFE = "unsafe", "reading it would need more memory than its size explains, or leave its folder"
    NO_TENSORS = "no_tensors", "the file was read and holds no tensors"

    INACCESSIBLE = (
        "inaccessible",
        "the file could not be reached: no such file, a lost mount, an I/O error, a limit of the node; the next run "
        "tries again",
        True,
    )

    CHANGED = "changed_meanwhile", "its files changed while they were read; the next run reads them again", True

    TOO_LARGE = "too_large", "needs more memory than any worker has; raise the limit or use a larger machine", True
    OUT_OF_MEMORY = "out_of_memory", "the worker was killed for its memory, alone on its node too", True
    TIMED_OUT = "timed_out", "it ran past its deadline, alone too: a hang, or a node far slower than predicted", True
    WORKER_CRASHED = "worker_crashed", "the worker died on it twice: a native crash, a kill, a lost node", True
    ERROR = "error", "an unexpected error; please report it", True

    GATED = "gated", "its terms must be accepted first: accept them on its page, set HF_TOKEN, scan again"
    FORBIDDEN = "forbidden", "the server refuses access: it is private, disabled, or the token has no rights to it"
    NOT_FOUND = "not_found", "the catalog names it, but the server does not have it"
    UNREACHABLE = "unreachable", "the server or the network failed on every try; the next run tries again", True
    RATE_LIMITED = (
        "rate_limited",
        "the server asked to slow down for longer than this run may wait; the next run tries again",
        True,
    )
    OVER_BUDGET = (
        "over_budget",
        "the day's byte budget is spent; the next run goes on from here, or raise fetch.day_gb",
        True,
    )
    CHECKSUM_MISMATCH = (
        "checksum_mismatch",
        "the bytes are not those that the catalog names; they were deleted",
        True,
    )


@dataclass(frozen=True, slots=True)
class Skip:
    """One tensor, or a whole model, that is not analysed, and why."""

    tensor: str | None
    """Tensor name; None when the whole model could not be read."""
    reason: Reason
    """Stable code, with its advice."""
    detail: str
    """What was found, and what to do."""
    failed: bool
    """True when something is wrong (corrupt, unsupported, non-finite); False when a rule says so (bias, norm, ...)."""


FACTS = frozenset(
    {errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EFBIG, errno.EOVERFLOW, errno.ENODEV}
    | {errno.ENXIO, errno.ESPIPE, errno.ENOTTY}
)
"""What the system says about an offset, a name or the kind of a file; its other errors say that the way was blocked."""

ERRNO = re.compile(r"\berrno = (\d+), error message")
"""How HDF5 tells what the system said."""


def is_access_failure(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, says that bytes could not be reached: it may pass, here or elsewhere.

    A library's own OSError without a number, such as h5py's for a truncated file, speaks of the bytes; where HDF5 has
    met one itself it stands in the words.
    """
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        words = ERRNO.search(str(error)) if number is None and not isinstance(error, CheckpointError) else None
        number = int(words[1]) if words else number
        if number and number not in FACTS:
            return True
        error = error.__cause__
    return False


def missing(path: str | Path) -> Reason:
    """Why a file that another one names is not read: it may be there later or elsewhere, unless it is no plain file."""
    return Reason.UNREADABLE if os.path.exists(path) else Reason.INACCESSIBLE


class CheckpointError(ValueError):
    """A file that cannot be read as a checkpoint, and why.

    Raised as 'unreadable' from a failure of access it is 'inaccessible': a passing failure is no verdict on the bytes.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self._reason = reason
        self.detail = detail

    @property
    def reason(self) -> Reason:
        """Stable code."""
        passing = self._reason is Reason.UNREADABLE and is_access_failure(self.__cause__)
        return Reason.INACCESSIBLE if passing else self._reason

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"

    def __reduce__(self) -> tuple[type[CheckpointError], tuple[Reason, str]]:
        """Both arguments, so that the error survives the way back from a worker process, which loses the cause."""
        return type(self), (self.reason, self.detail)
