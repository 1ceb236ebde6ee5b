"""The console command: `zoospectra VERB key=value ...`. Dispatch, and mistakes as one line (statuses: jobs.exit)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from zoospectra.jobs.exit import Exit, JobError, broken_disk, exit_status
from zoospectra.jobs.show.plain import plain
from zoospectra.jobs.verbs import VERBS
from zoospectra.jobs.words.verb import did_you_mean


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; mistakes are one line on stderr and status 2, never a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage())
        return Exit.DONE
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"zoospectra {version('zoospectra')}")
        return Exit.DONE
    try:
        return _run(words[0], words[1:])
    except JobError as error:
        _complain(words[0], str(error))
        return Exit.BROKE
    except KeyboardInterrupt:
        _complain(words[0], "interrupted; what was finished is kept, the same command goes on from there")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return Exit.DONE
    except OSError as error:
        line = broken_disk(error)
        if line is None:
            raise
        _complain(words[0], line)
        return Exit.BROKE


def _run(name: str, words: Sequence[str]) -> Exit:
    """One verb from its words to its status."""
    if name not in VERBS:
        _complain(name, f"unknown verb{did_you_mean(name, VERBS)}: expected one of {', '.join(VERBS)}")
        return Exit.MISUSE
    if "--help" in words or "-h" in words:
        print(importlib.import_module(f"zoospectra.jobs.verbs.{name}").VERB.help)
        return Exit.DONE
    from zoospectra.jobs.call import load_verb, prepare
    from zoospectra.jobs.words.command import MisuseError

    verb = load_verb(name)
    try:
        request = prepare(verb, name, words)
    except MisuseError as error:
        _complain(name, str(error))
        return Exit.MISUSE
    if request is None:
        return Exit.DONE
    result = verb.run(request)
    verb.show(result)
    return exit_status(verb.failures(result))


def _complain(name: str, text: str) -> None:
    print(f"zoospectra {plain(name)}: {plain(text)}", file=sys.stderr)


def _usage() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {text}" for verb, text in VERBS.items())
    return (
        "zoospectra measures the quality of pretrained neural networks from their weights alone.\n\n"
        f"usage: zoospectra VERB [key=value ...]\n\n{verbs}\n\n"
        "zoospectra VERB --cfg prints the values a verb would run with; zoospectra VERB --help what they mean."
    )
