"""`zoospectra completion SHELL`: a script that completes verbs, keys and files; printed, for you to keep or source."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoospectra.jobs.verbs import VERBS
from zoospectra.jobs.words.keys import keys
from zoospectra.jobs.words.verb import Positional, Verb

if TYPE_CHECKING:
    from zoospectra.jobs.words.command import Configuration

BASH = """_zoospectra() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" verb="${{COMP_WORDS[1]}}" keys=""
    COMP_WORDBREAKS=${{COMP_WORDBREAKS//=}}
    if [ "$COMP_CWORD" -eq 1 ]; then keys="{verbs}"; else
        case "$verb" in
{cases}
        esac
    fi
    COMPREPLY=($(compgen -W "$keys" -- "$word") $(compgen -f -- "$word"))
}}
complete -o nospace -F _zoospectra zoospectra
"""
ZSH = """#compdef zoospectra
_zoospectra() {{
    local -a words_of
    if (( CURRENT == 2 )); then words_of=({verbs}); else
        case "$words[2]" in
{cases}
        esac
    fi
    compadd -S '' -a words_of
    _files
}}
compdef _zoospectra zoospectra
"""
SHELLS = ("bash", "zsh", "fish")

HELP = f"""usage: zoospectra completion {"|".join(SHELLS)}

Prints a script that completes verbs, keys and files:
  bash: source <(zoospectra completion bash)
  zsh:  source <(zoospectra completion zsh), after compinit
  fish: zoospectra completion fish > ~/.config/fish/completions/zoospectra.fish"""


@dataclass(frozen=True, slots=True)
class CompletionSettings:
    """Values of `completion`."""

    shell: str
    """One of SHELLS."""

    def __post_init__(self) -> None:
        """Refuse a shell that is not known."""
        if self.shell not in SHELLS:
            msg = f"shell={self.shell}: expected one of {', '.join(SHELLS)}"
            raise ValueError(msg)


def script(settings: CompletionSettings) -> str:
    """The script of a shell."""
    known = {
        name: [f"{key.name}=" for key in keys(name, _verb(name)) if not key.name.endswith(".KEY")] for name in VERBS
    }
    if settings.shell == "fish":
        lines = [f"complete -c zoospectra -n __fish_use_subcommand -a {name} -d '{VERBS[name]}'" for name in VERBS]
        lines += [
            f"complete -c zoospectra -n '__fish_seen_subcommand_from {name}' -a '{' '.join(of)}'"
            for name, of in known.items()
        ]
        return "\n".join(lines)
    form = "            {0}) keys='{1}' ;;" if settings.shell == "bash" else "            {0}) words_of=({1}) ;;"
    cases = "\n".join(form.format(name, " ".join(of)) for name, of in known.items())
    return (BASH if settings.shell == "bash" else ZSH).format(verbs=" ".join(VERBS), cases=cases)


def _verb(name: str) -> Verb:
    verb: Verb = importlib.import_module(f"zoospectra.jobs.verbs.{name}").VERB
    return verb


def check(settings: CompletionSettings, _configuration: Configuration) -> CompletionSettings:
    """Nothing more to check."""
    return settings


VERB = Verb(HELP, CompletionSettings, check, script, print, positional=(Positional("shell", "|".join(SHELLS)),))
