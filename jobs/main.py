"""The console command: `zoospectra VERB key=value ...`. Dispatch, and mistakes as one line (statuses: jobs.exit)."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from zoospectra.jobs.exit import (
    KEPT,
    PROCESS,
    Exit,
    JobError,
    broken_disk,
    ended,
    exit_status,
    heed_signals,
    no_memory,
)
from zoospectra.jobs.show.plain import plain
from zoospectra.jobs.verbs import VERBS
from zoospectra.jobs.words.line import MULTIRUN
from zoospectra.jobs.words.verb import did_you_mean

SWEPT = ("scan", "study")
"""Verbs that can run several times in one warehouse."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; mistakes are one line on stderr and status 2, never a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    PROCESS.own = argv is None
    if PROCESS.own:  # Arrow's own pool keeps what each thread has used: 50 MB more after 11 MB of rows were written
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
        _open_streams()
        heed_signals()
    _show_every_name()
    name = words[0] if words else "--help"
    try:
        return _dispatch(words)
    except JobError as error:
        _complain(name, str(error))
        return Exit.BROKE
    except KeyboardInterrupt:
        how, status = ("interrupted", Exit.INTERRUPTED) if PROCESS.ended is None else ended(PROCESS.ended)
        _complain(name, f"{how}; {KEPT}")
        if PROCESS.own:  # Python, where it met an exec, and Ray would make another status of it at their ends
            with suppress(OSError):
                sys.stdout.flush()
            os._exit(status)
        return status
    except BrokenPipeError:  # whoever read the output has enough, such as `head`
        _print_no_more()
        return Exit.DONE
    except SystemExit:  # what rich makes of the same
        return Exit.DONE
    except (OSError, MemoryError, ImportError) as error:
        line = broken_disk(error) if isinstance(error, OSError) else no_memory(error)
        if line is None:
            raise
        _complain(name, line)
        return Exit.BROKE


def _dispatch(words: Sequence[str]) -> int:
    """What the first word asks for."""
    if words[:1] == ["help"] and len(words) > 1:
        if surplus := [word for word in words[2:] if "=" not in word and not word.startswith("-")]:
            _complain("help", f"expected a verb and key=value, got {' '.join(surplus)} after {words[1]}")
            return Exit.MISUSE
        words = [words[1], "--help", *words[2:]]
    if not words or words[0] in ("-h", "--help", "help"):
        with _printing():
            print(_usage())
        return Exit.DONE
    if words[0] == "--version":
        from importlib.metadata import version

        with _printing():
            print(f"zoospectra {version('zoospectra')}")
        return Exit.DONE
    return _run(words[0], words[1:])


def _open_streams() -> None:
    """What was closed before the start goes nowhere: else the next file that is opened is written to as stdout."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: SIM115 - open to the end


def _show_every_name() -> None:
    """Names from outside need not be in the terminal's alphabet: letters that it lacks are shown by their code."""
    for stream in (sys.stdout, sys.stderr):
        if PROCESS.own and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run(name: str, words: Sequence[str]) -> Exit:
    """One verb from its words to its status."""
    if name not in VERBS and os.path.lexists(name):
        print(f"zoospectra: {plain(name)} is a path: this is 'zoospectra check {plain(name)}'", file=sys.stderr)
        name, words = "check", [name, *words]
    if name not in VERBS:
        _complain(name, _unknown(name))
        return Exit.MISUSE
    if "--help" in words or "-h" in words:
        try:
            text = _help(name, words)
        except ValueError as error:
            _complain(name, str(error))
            return Exit.MISUSE
        with _printing():
            print(text)
        return Exit.DONE
    if not set(MULTIRUN) & set(words):
        return _once(name, words)
    if name not in SWEPT:
        _complain(name, f"-m: expected with {' or '.join(SWEPT)}, which can run several times in one warehouse")
        return Exit.MISUSE
    from zoospectra.jobs.call import load_verb
    from zoospectra.jobs.words.multirun import sweep

    try:
        runs = sweep(words, load_verb(name).settings)
    except ValueError as error:
        _complain(name, str(error))
        return Exit.MISUSE
    return max(_once(name, run) for run in runs)


def _once(name: str, words: Sequence[str]) -> Exit:
    """One run of a verb."""
    from zoospectra.jobs.call import load_verb, prepare
    from zoospectra.jobs.words.line import MisuseError

    verb = load_verb(name)
    try:
        request = prepare(verb, name, words)
    except MisuseError as error:
        _complain(name, str(error))
        return Exit.MISUSE
    if request is None:
        return Exit.DONE
    result = verb.run(request)
    with _printing():
        verb.show(result)
    return exit_status(verb.failures(result))


@contextmanager
def _printing() -> Iterator[None]:
    """Print all that the block prints; what cannot be printed is not tried again at the end of the process."""
    from zoospectra.warehouse.disk import written

    try:
        with written("stdout"):
            yield
            sys.stdout.flush()
    except OSError:
        _print_no_more()
        raise


def _print_no_more() -> None:
    """What stdout still holds goes nowhere: Python would try it again at its end, and complain."""
    if PROCESS.own:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unknown(name: str) -> str:
    """What is wrong with a first word that is no verb."""
    if "=" in name:
        return f"a verb comes first: zoospectra scan {name}; expected one of {', '.join(VERBS)}"
    if "/" in name or "." in name:
        return f"unknown verb, and no such file; expected one of {', '.join(VERBS)}"
    return f"unknown verb{did_you_mean(name, VERBS)}: expected one of {', '.join(VERBS)}"


def _help(name: str, words: Sequence[str]) -> str:
    """Usage of a verb, and every key of its with default, meaning and example; ValueError for an unknown one."""
    from zoospectra.jobs.words.keys import refuse_unknown, table

    verb = importlib.import_module(f"zoospectra.jobs.verbs.{name}").VERB
    chosen = dict(word.lstrip("+").split("=", 1) for word in words if "=" in word)
    refuse_unknown(name, verb, chosen)
    keys = table(name, verb, chosen)
    return f"{verb.help}\n\nkeys, each with its default:\n{keys}" if keys else str(verb.help)


def _complain(name: str, text: str) -> None:
    with suppress(OSError):  # a terminal that was closed
        print(f"zoospectra {plain(name)}: {plain(text)}", file=sys.stderr)


def _usage() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {text}" for verb, text in VERBS.items())
    return (
        "zoospectra measures the quality of pretrained neural networks from their weights alone.\n\n"
        f"usage: zoospectra VERB [key=value ...]\n\n{verbs}\n\n"
        "zoospectra help VERB says what its keys mean, help scan zoo=NAME those of a zoo too;\n"
        "zoospectra VERB --cfg prints the values that it would run with; zoospectra FILE checks a\n"
        "checkpoint; zoospectra completion bash|zsh|fish prints a script for your shell."
    )
