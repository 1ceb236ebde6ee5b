"""The printed tables of "Post-mortem on a deep learning contest", checked against themselves; no warehouse row is used.

C_AUDIT_AVG: AVG rows as plain means of the sub-groups as printed; they agree within the rounding of both. C_AUDIT_WORD:
Weak, Modest and Strong by a stated rule on |tau|, and how many words the best thresholds on R2 or on |tau| could give;
a word is contradicted when another row has a stronger one with neither a larger R2 nor a larger |tau|. C_AUDIT_SIGN: R2
against the R2 that tau would have under a bivariate normal law, and the anti-correlations of the text against the signs
of table 2. C_AUDIT_TRAIN: whether the training error or a metric follows the test accuracy better, by sub-group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from zoospectra.analysis.studies.record import Cell, Designs, Findings, Study
from zoospectra.analysis.studies.verdict import ROUNDING, Place, printed_cells, tolerance

WORDS = ("None", "Weak", "Modest", "Strong")
"""The paper's words, ascending."""
BASIS = "printed averages"
TRAINING, METRICS = "C_T2", ("C_T5", "C_T6")
"""Table of the training error, and tables of the metrics."""


@dataclass(frozen=True, slots=True)
class Options:
    """The rule for words: |tau| from which each holds."""

    weak: float = 0.1
    """From here Weak, below None."""
    modest: float = 0.3
    """From here Modest."""
    strong: float = 0.5
    """From here Strong."""

    def __post_init__(self) -> None:
        """Refuse thresholds that do not ascend."""
        if not 0 < self.weak < self.modest < self.strong < 1:
            msg = f"weak={self.weak}: expected 0 < weak < modest < strong < 1, got {self.modest} and {self.strong}"
            raise ValueError(msg)

    def word(self, tau: float) -> str:
        """The word for a tau."""
        return WORDS[sum(abs(tau) >= bound for bound in (self.weak, self.modest, self.strong))]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A sub-group with a word."""

    row: str
    """'C_T1 / Task1 / 0xx'."""
    word: str
    """One of WORDS."""
    r2: float
    """Printed R2."""
    tau: float
    """Printed |tau|."""


def run(_designs: Designs, options: Options, printed: Mapping[str, Any]) -> Findings:
    """Audit; printed: values of conf/published/contest.yaml. Raises ValueError for a row of another length."""
    texts = printed_cells(printed["tables"])
    numbers = {key: float(text) for key, text in texts.items() if key[2] != "label"}
    labelled = [
        Labelled(f"{table} / {row}", text, numbers[Place(table, row, "R2")], abs(numbers[Place(table, row, "tau")]))
        for (table, row, column), text in texts.items()
        if column == "label"
    ]
    found = [
        *_averages(texts),
        *_words(labelled, options),
        *_signs(numbers, printed["anti_correlated"]),
        *_training(numbers),
    ]
    return Findings(tuple(found), notes=tuple(_sentences(found)))


def _averages(texts: Mapping[Place, str]) -> Iterator[Cell]:
    """Each AVG beside the mean of its sub-groups; both are rounded, and the tolerance is that of both."""
    for (table, row, column), text in texts.items():
        task, _, group = row.partition(" / ")
        if group != "AVG":
            continue
        parts = [t for (a, r, c), t in texts.items() if (a, c) == (table, column) and r != row and r.startswith(task)]
        mean = float(np.mean([float(part) for part in parts]))
        allowed = tolerance(text) + float(np.mean([tolerance(part) for part in parts])) + ROUNDING
        agrees = abs(mean - float(text)) <= allowed
        why = f"plain mean of {len(parts)} sub-groups, {'within' if agrees else 'beyond'} {allowed:.2g} of rounding"
        verdict = "reproduces" if agrees else "differs"
        yield Cell("C_AUDIT_AVG", f"{table} / {row}", column, mean, len(parts), float(text), verdict, why, BASIS)


def _words(rows: Sequence[Labelled], options: Options) -> Iterator[Cell]:
    """The rule's word for each row, the rows that no rule in R2 and tau could satisfy, and the best of two rules."""
    for one in rows:
        mine = options.word(one.tau)
        verdict = "as by the rule" if mine == one.word else "other than by the rule"
        why = f"printed {one.word}, by |tau| {mine}"
        yield Cell("C_AUDIT_WORD", one.row, "|tau|", one.tau, verdict=verdict, reason=why, basis=BASIS)
        against = [
            other.row
            for other in rows
            if WORDS.index(other.word) > WORDS.index(one.word) and other.r2 <= one.r2 and other.tau <= one.tau
        ]
        if against:
            why = f"{one.word} here, a stronger word at {', '.join(against)} with no larger R2 or |tau|"
            yield Cell(
                "C_AUDIT_WORD",
                one.row,
                "contradicted",
                float(len(against)),
                verdict="contradicted",
                reason=why,
                basis=BASIS,
            )
    agreeing = sum(options.word(one.tau) == one.word for one in rows)
    yield Cell("C_AUDIT_WORD", "RULE", "words as by the rule", float(agreeing), len(rows), basis=BASIS)
    for column, values in (("|tau|", [one.tau for one in rows]), ("R2", [one.r2 for one in rows])):
        best = _most([WORDS.index(one.word) for one in rows], values)
        yield Cell("C_AUDIT_WORD", "RULE", f"most words by any {column}", float(best), len(rows), basis=BASIS)


def _most(words: Sequence[int], values: Sequence[float]) -> int:
    """Most words that three ascending thresholds on the values can give."""
    bounds = [*sorted(set(values)), np.inf]
    data, wanted = np.array(values), np.array(words)
    return max(
        int(np.sum(np.searchsorted(chosen, data, side="right") == wanted))
        for chosen in combinations_with_replacement(bounds, len(WORDS[1:]))
    )


def _signs(numbers: Mapping[Place, float], anti: Sequence[str]) -> Iterator[Cell]:
    """R2 that tau implies, sin(pi tau / 2)^2, beside the printed one; and the text's signs."""
    for (table, row, column), r2 in numbers.items():
        if column.startswith("R2") and not row.endswith("AVG"):
            tau = numbers[Place(table, row, "tau" + column.removeprefix("R2"))]
            implied = float(np.sin(np.pi * tau / 2) ** 2)
            label = f"{table} / {row} / {column.removeprefix('R2').strip() or 'line'}"
            yield Cell("C_AUDIT_SIGN", label, "R2 implied by tau", implied, published=r2, basis=BASIS)
    for row in anti:
        tau = numbers[Place(TRAINING, row, "tau")]
        verdict = "as the text" if tau < 0 else "sign differs from the text"
        why = "the text: training and test accuracies are anti-correlated"
        yield Cell("C_AUDIT_SIGN", f"{TRAINING} / {row}", "tau", tau, verdict=verdict, reason=why, basis=BASIS)


def _training(numbers: Mapping[Place, float]) -> Iterator[Cell]:
    """|tau| of the training error and of every metric, by sub-group; the verdict names the best."""
    for (table, row, column), tau in numbers.items():
        if (table, column) != (TRAINING, "tau") or row.endswith("AVG"):
            continue
        sizes = {"training error": abs(tau)} | {
            c.removeprefix("tau "): abs(value)
            for (t, r, c), value in numbers.items()
            if t in METRICS and r == row and c.startswith("tau")
        }
        best = max(sizes, key=lambda name: sizes[name])
        for name, size in sizes.items():
            yield Cell("C_AUDIT_TRAIN", row, f"|tau| {name}", size, verdict=f"{best} follows best", basis=BASIS)


def _sentences(found: Sequence[Cell]) -> Iterator[str]:
    averages = [cell for cell in found if cell.table_id == "C_AUDIT_AVG"]
    right = sum(cell.verdict == "reproduces" for cell in averages)
    yield f"{right} of {len(averages)} AVG cells are plain means of the sub-groups as printed"
    rule = {cell.column: cell for cell in found if cell.row == "RULE"}
    words = rule["words as by the rule"]
    most = " and ".join(
        f"{cell.value:g} {name.removeprefix('most words ')}" for name, cell in rule.items() if cell != words
    )
    yield f"{words.value:g} of {words.n} words are those of the rule; the best thresholds give {most}"
    for word in ("contradicted", "sign differs from the text"):
        rows = [cell.row for cell in found if cell.verdict == word]
        if rows:
            yield f"{word}: {', '.join(rows)}"
    best = dict.fromkeys((cell.row, cell.verdict) for cell in found if cell.table_id == "C_AUDIT_TRAIN")
    yield "; ".join(f"{row}: {verdict}" for row, verdict in best)


STUDY = Study(Options, run, printed="contest")
