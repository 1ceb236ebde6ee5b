"""Names from outside as text in LaTeX and Markdown: nothing in them is obeyed, and what is shown is the name.

Hidden characters are shown by their code, as on a terminal (jobs.show.plain). Pages of HTML have html.escape.
Not covered: addresses, which readers of Markdown may turn into links by themselves.
"""

from __future__ import annotations

import re

from zoospectra.jobs.show.plain import plain

LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': '{"}',
}
"""Characters with a meaning in LaTeX, or another shape in its old fonts."""


def latex(text: str) -> str:
    """Text for a cell of a tabular: no ligature, and no '[' or '*' that the end of the row before would take."""
    shown = "".join(LATEX.get(character, character) for character in plain(text))
    shown = re.sub(r"([-',])(?=\1)", r"\1{}", shown)
    return f"{{}}{shown}" if shown[:1] in ("[", "*") else shown


def markdown(text: str) -> str:
    """Text for a cell of a table of GitHub's Markdown."""
    return re.sub(r"[\\`*_\[\]<>|#~$!&]", r"\\\g<0>", plain(text))
