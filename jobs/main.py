"""The console command: `zoospectra VERB key=value ...`.

Exit status: 0 done, 2 wrong usage, 3 some models or layers failed, 1 the job itself broke, 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from zoospectra.jobs.words.command import MisuseError

VERBS = {
    "scan": "crawl a zoo, analyse what is new, load the warehouse, summarise",
    "catalog": "crawl only: models, weights, reported metrics",
    "describe": "dry run on one checkpoint: layers, matrices, cost, what is skipped and why",
    "compare": "two checkpoints of one architecture, layer by layer",
    "refit": "new fits from stored spectra, for the whole warehouse",
    "study": "run a named study: its SQL, its statistics, its tables",
    "dictionary": "every table and column of the warehouse: type, unit, meaning",
    "sql": "read-only query on the warehouse",
    "bench": "measure this machine: kernels, fits and whole layers against the peers",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; mistakes are one line on stderr and status 2, never a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0
    if words[0] == "--version":
        from zoospectra.jobs.records.provenance import versions

        print(f"zoospectra {versions()['zoospectra']}")
        return 0
    verb, *rest = words
    try:
        if verb not in VERBS:
            raise MisuseError(f"unknown verb {verb!r}: expected one of {', '.join(VERBS)}")
        return int(importlib.import_module(f"zoospectra.jobs.verbs.{verb}").command(rest))
    except MisuseError as error:
        print(f"zoospectra {verb}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f"zoospectra {verb}: interrupted; what was finished is kept, the same command goes on from there",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _usage() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {text}" for verb, text in VERBS.items())
    return (
        "zoospectra measures the quality of pretrained neural networks from their weights alone.\n\n"
        f"usage: zoospectra VERB [key=value ...]\n\n{verbs}\n\n"
        "zoospectra VERB --cfg prints the values a verb would run with; zoospectra VERB --help what they mean."
    )
