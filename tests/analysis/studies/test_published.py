"""The audit of printed numbers, the contest's, invariance and the language tables, against their definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tests.analysis.studies.oracle import near
from zoospectra.analysis.studies import audit, contest_audit, invariance, language
from zoospectra.analysis.studies.record import Cell
from zoospectra.analysis.studies.verdict import Place, judge, printed_cells


def test_shapes_of_classifiers() -> None:
    sides = {
        "net50": (1000, 2048),
        "net101": (2048, 1000),
        "net18": (512, 2048),
        "none": (2048, 1000),
        "other50": (2048, 1000),
    }
    expected = {"net18": 512, "net50": 2048, "net101": 1024, "net7": 1024, "other50": 512}
    rows = [{"name": name, "N": n, "M": m} for name, (n, m) in sides.items()]
    found = {c.row: c for c in audit.shapes(rows, expected)}
    assert {row: c.verdict for row, c in found.items()} == {
        "net50": "is net50", "net101": "is net50", "other50": "is none that is known",
    }  # fmt: skip
    assert [(c.value, c.n) for c in found.values()] == [(2048.0, 1)] * 3
    assert found["net50"].reason is None
    assert found["net101"].reason == "net101 has 1024 inputs to its classifier, this file 2048"


@pytest.mark.parametrize(("published", "verdict"), [
    (2.0, "a mean"), (2.009, "a mean"), (2.011, "no mean of its table"),
    (1.0, "no mean of its table"), (4.0, "no mean of its table"),
])  # fmt: skip
def test_summaries_of_a_table(published: float, verdict: str) -> None:
    cells = [Cell("NC_S_R2", f"s{i}", "x", value) for i, value in enumerate((1.0, 2.0, 3.0, None))]
    cells += [
        Cell("NC_S_R2", "s", "another", 9.0),
        Cell("NC_S_RMSE", "s", "x", 9.0),
        Cell("NC_T3", "R2 (mean)", "y", 1.0, published=1.0),
        Cell("NC_T3", "R2 (mean)", "another", 9.0),
        Cell("NC_T3_INTENDED", "R2 (mean)", "x", 2.0, published=2.0),
    ]
    (found,) = audit.summaries([*cells, Cell("NC_T3", "R2 (mean)", "x", 2.0, published=published)])
    assert (found.value, found.n, found.verdict) == (2.0, 3, verdict)
    same = [Cell("NC_S_R2", f"s{i}", "x", 1.0) for i in range(2)]
    (found,) = audit.summaries([*same, Cell("NC_T3", "R2 (mean)", "x", 1.0, published=1.0)])
    assert found.verdict == "a mean"
    (found,) = audit.summaries([*same, Cell("NC_T3", "R2 (mean)", "x", 1.0, published=1.005)])
    assert found.verdict == "no mean of its table"  # within rounding of the mean, beyond all that it averages


def test_sentences_and_objections_of_the_audit() -> None:
    cells = [
        Cell("T", "r", "a", 1.0, published=1.0, verdict="reproduces", basis="weights"),
        Cell("T", "r", "b", 1.0, published=2.0, verdict="differs", reason="why", basis="weights"),
        Cell("T", "r", "c", 1.0, published=1.0, verdict="reproduces"),
        Cell("T", "r", "d", 1.0),
    ]
    assert audit.sentences(cells) == [
        "2 of 3 printed numbers reproduce at their printed precision",
        "what that is an audit of: 1 of 2 from weights, 1 of 1 from nothing",
        "T / r / b: printed 2, differs: why",
    ]
    guards = [
        Cell("GUARD_SHAPES", "net", "inputs", 1.0, verdict="is net"),
        Cell("GUARD_SHAPES", "net", "inputs", 1.0, verdict="is other", reason="why"),
        Cell("GUARD_COUNTS", "row", "models", 1.0, verdict="models"),
        Cell("GUARD_COUNTS", "row", "models", 1.0, verdict="differs"),
        Cell("GUARD_MEANS", "row", "gain", 1.0),
    ]  # fmt: skip
    assert audit.findings(guards) == ["guard shapes: net inputs: is other (why)", "guard counts: row models: differs"]


@pytest.mark.parametrize(("value", "verdict"), [(0.5 + 1e-9, "reproduces"), (0.5 + 1.2e-9, "differs")])
def test_the_edge_of_a_printed_digit_may_be_rounded_either_way(value: float, verdict: str) -> None:
    (found,) = judge([Cell("T", "r", "c", value)], {Place("T", "r", "c"): "0"}, {})
    assert found.verdict == verdict


def test_a_printed_number_reproduces_within_its_rounding() -> None:
    cells = [
        Cell("T", "r", c, v)
        for c, v in (("half", 0.4251), ("up", 0.4149), ("low", 0.415), ("high", 0.425), ("none", None), ("more", 1.0))
    ]
    printed = {("T", "r", c): "0.42" for c in ("half", "up", "low", "high", "none", "gone")}
    found = {c.column: c for c in judge(cells, printed, {"T / r / up": "known"})}
    assert {name: c.verdict for name, c in found.items()} == {
        "half": "differs", "up": "differs", "low": "reproduces", "high": "reproduces", "none": "not recomputed",
        "gone": "not recomputed", "more": None,
    }  # fmt: skip
    assert found["half"].reason == "unexplained; it should read 0.4251"
    assert found["up"].reason == "known; it should read 0.4149"


def test_an_average_at_the_edge_of_both_roundings_agrees() -> None:
    rows = {"Task1 / 0xx": ["0.1"], "Task1 / 1xx": ["0.1"], "Task1 / AVG": ["0.2"], "Task2 / 0xx": ["0.4"]}
    printed = {"tables": {"C_T9": {"columns": ["RMSE"], "rows": rows}}, "anti_correlated": []}
    (cell,) = contest_audit._averages(printed_cells(printed["tables"]))
    why = "plain mean of 2 sub-groups, within 0.1 of rounding"
    words = ("C_T9 / Task1 / AVG", "RMSE")
    assert cell == Cell("C_AUDIT_AVG", *words, 0.1, 2, 0.2, "reproduces", why, "printed averages")


def test_a_tau_of_0_is_no_anti_correlation() -> None:
    (cell,) = contest_audit._signs({Place("C_T2", "r", "tau"): 0.0}, ["r"])
    assert (cell.value, cell.verdict) == (0.0, "sign differs from the text")


WORDS = ("None", "Weak", "Modest", "Strong")
ROWS = [f"Task{task} / {group}" for task in (1, 2) for group in ("0xx", "1xx", "2xx")]


def made_tables(seed: int) -> dict[str, dict]:
    """Four tables as printed, whose AVG rows are means but for R2 of the second task."""
    rng = np.random.default_rng(seed)
    value = {
        key: float(rng.choice([0.05, 0.1, 0.3, 0.31, 0.5, 0.7]) * rng.choice([-1, 1]))
        for key in itertools.product(range(4), ROWS, ("R2", "tau"))
    }
    tables = {}
    for place, table in enumerate(("C_T1", "C_T2", "C_T5", "C_T6")):
        columns = ["R2", "tau", "label"] if table == "C_T1" else ["R2", "tau"] if table == "C_T2" else ["R2 m", "tau m"]
        body = {}
        for row in ROWS:
            numbers = [f"{abs(value[place, row, 'R2']):.2f}", f"{value[place, row, 'tau']:.2f}"]
            body[row] = numbers + ([str(rng.choice(WORDS))] if table == "C_T1" else [])
        for task in (1, 2):
            own = [texts for row, texts in body.items() if row.startswith(f"Task{task} / ") and "AVG" not in row]
            means = [np.mean([float(t[i]) for t in own]) + (0.02 if task == 2 and i == 0 else 0.0) for i in (0, 1)]
            body[f"Task{task} / AVG"] = [f"{m:.2f}" for m in means] + ([None] if table == "C_T1" else [])
        tables[table] = {"columns": columns, "rows": body}
    return tables


@pytest.mark.parametrize("seed", range(4))
def test_the_contests_tables(seed: int) -> None:
    words, rows, tables = WORDS, ROWS, made_tables(seed)
    printed = {"tables": tables, "anti_correlated": [rows[0], rows[4]]}
    found = contest_audit.run({}, contest_audit.Options(), printed)
    cells = {(c.table_id, c.row, c.column): c for c in found.cells}
    for table, body in tables.items():
        for task in (1, 2):
            for column in body["columns"][:2]:
                assert cells["C_AUDIT_AVG", f"{table} / Task{task} / AVG", column].verdict == (
                    "differs" if task == 2 and "R2" in column else "reproduces"
                )
    labelled = {
        row: (texts[2], float(texts[0]), abs(float(texts[1])))
        for row, texts in tables["C_T1"]["rows"].items()
        if texts[2]
    }

    def word(tau: float) -> str:
        return words[(tau >= 0.1) + (tau >= 0.3) + (tau >= 0.5)]

    for row, (own, r2, tau) in labelled.items():
        cell = cells["C_AUDIT_WORD", f"C_T1 / {row}", "|tau|"]
        assert (cell.value, cell.verdict) == (tau, "as by the rule" if word(tau) == own else "other than by the rule")
        against = [r for r, (w, a, b) in labelled.items() if words.index(w) > words.index(own) and a <= r2 and b <= tau]
        key = ("C_AUDIT_WORD", f"C_T1 / {row}", "contradicted")
        assert (cells[key].value if key in cells else 0) == len(against)
    assert cells["C_AUDIT_WORD", "RULE", "words as by the rule"].value == sum(
        word(tau) == own for own, _, tau in labelled.values()
    )
    for column, place in (("R2", 1), ("|tau|", 2)):
        data = [(words.index(one[0]), one[place]) for one in labelled.values()]
        bounds = [*sorted({v for _, v in data}), math.inf]
        best = max(
            sum(sum(v >= bound for bound in three) == wanted for wanted, v in data)
            for three in itertools.product(bounds, repeat=3) if list(three) == sorted(three)
        )  # fmt: skip
        assert cells["C_AUDIT_WORD", "RULE", f"most words by any {column}"].value == best
    for place, table in enumerate(tables):
        for row in rows:
            label = f"{table} / {row} / {'line' if place < 2 else 'm'}"
            tau = float(tables[table]["rows"][row][1])
            cell = cells["C_AUDIT_SIGN", label, "R2 implied by tau"]
            assert cell.value == pytest.approx(math.sin(math.pi * tau / 2) ** 2)
    for row in (rows[0], rows[4]):
        tau = float(tables["C_T2"]["rows"][row][1])
        assert cells["C_AUDIT_SIGN", f"C_T2 / {row}", "tau"].verdict == (
            "as the text" if tau < 0 else "sign differs from the text"
        )
    for row in rows:
        sizes = {
            "training error": abs(float(tables["C_T2"]["rows"][row][1])),
            "m": abs(float(tables["C_T6"]["rows"][row][1])),
        }
        best = "training error" if sizes["training error"] >= sizes["m"] else "m"
        assert cells["C_AUDIT_TRAIN", row, "|tau| training error"].verdict == f"{best} follows best"
        assert cells["C_AUDIT_TRAIN", row, "|tau| m"].value == sizes["m"]
    assert sum(c.table_id == "C_AUDIT_TRAIN" for c in found.cells) == 12
    rule = {c.column: c.value for c in found.cells if c.row == "RULE"}
    most = f"{rule['most words by any |tau|']:g} by any |tau| and {rule['most words by any R2']:g} by any R2"
    notes = ["12 of 16 AVG cells are plain means of the sub-groups as printed"]
    notes.append(f"{rule['words as by the rule']:g} of 6 words are those of the rule; the best thresholds give {most}")
    for verdict in ("contradicted", "sign differs from the text"):
        named = [c.row for c in found.cells if c.verdict == verdict]
        notes += [f"{verdict}: {', '.join(named)}"] if named else []
    notes.append("; ".join(f"{row}: {cells['C_AUDIT_TRAIN', row, '|tau| m'].verdict}" for row in rows))
    assert list(found.notes) == notes


@pytest.mark.parametrize(("before", "after", "moved"), [
    (2.0, 2.0 * (1 + 0.9e-6), False), (2.0, 2.0 * (1 + 1.1e-6), True), (-2.0, 2.0, True), (-2.0, -2.0000001, False),
    (0.0, 0.9e-12, False), (0.0, 1.1e-12, True), (0.0, 0.0, False),
])  # fmt: skip
def test_what_counts_as_the_same(before: float, after: float, moved: bool) -> None:
    cells = {c.column: c for c in invariance._cells("x", [invariance.Change(10.0, before, after)], 0, 1)}
    assert (cells["layers changed"].value, cells["layers changed"].verdict == "invariant") == (moved, not moved)


@pytest.mark.parametrize(("values", "law"), [
    ([(10.0, 3.0, 300.0), (0.1, 2.0, 0.02)], "power"),  # c^2, though 3 to 300 and 2 to 0.02 differ as shifts
    ([(10.0, 3.0, 5.0), (100.0, -7.0, -3.0)], "shift"), ([(10.0, 3.0, 300.0), (10.0, 0.0, 0.1)], "by layer"),
    ([(10.0, 3.0, 300.0), (10.0, 1.0, 1.0)], "by layer"), ([(10.0, 3.0, 300.0), (10.0, -3.0, -300.0)], "by layer"),
    ([(10.0, 1.0, 10 ** (1 + 0.9e-6)), (10.0, 1.0, 10.0)], "power"),  # one millionth, or of 1 where the power is less
    ([(10.0, 1.0, 10 ** (1 + 1.1e-6)), (10.0, 1.0, 10.0)], "by layer"),
    ([(10.0, 1.0, 10 ** (3 + 2.8e-6)), (10.0, 1.0, 10.0**3)], "power"),
    ([(10.0, 1.0, 10 ** (3 + 3.2e-6)), (10.0, 1.0, 10.0**3)], "by layer"),
    ([(10.0, 1.0, 10 ** (0.2 + 0.9e-6)), (10.0, 1.0, 10.0**0.2)], "power"),
    ([(10.0, 1.0, 10 ** (0.2 + 1.1e-6)), (10.0, 1.0, 10.0**0.2)], "by layer"),
    ([(10.0, -1.0, 1.0), (10.0, 3.0, 5.0)], "shift"), ([(10.0, 0.0, 2.0), (10.0, 3.0, 5.0)], "shift"),
    ([(10.0, 2.0, 0.0), (10.0, 5.0, 3.0)], "shift"), ([(10.0, 2.0, 2.0)] * 3, "invariant"),
    ([(10.0, 0.5, 0.8), (10.0, 0.25, 0.4)], "power"), ([(10.0, 2.0, 4.0), (10.0, 4.0, 8.0)], "power"),
])  # fmt: skip
def test_the_law_of_made_up_changes(values: list[tuple[float, float, float]], law: str) -> None:
    found = list(invariance._cells("x", [invariance.Change(*one) for one in values], 1, 7))
    moved = [(c, a, b) for c, a, b in values if a != b]
    spread = [(b - a) / math.log10(c) for c, a, b in moved] or [0.0]
    powers = [math.log10(b / a) / math.log10(c) for c, a, b in moved if a > 0 < b]
    constants = {"power": np.median(powers or [0.0]), "shift": np.median(spread)}
    expected = {"layers changed": len(moved) / len(values), "fits lost": 1 / (len(values) + 1)}
    expected |= {word: value if law == word else None for word, value in constants.items()}
    expected |= {"least change a decade": min(spread), "median change a decade": np.median(spread)}
    expected["most change a decade"] = max(spread)
    assert found == near(
        [
            Cell("INVARIANCE", "x", word, value, 7, verdict=law, reason=f"the law is: {law}" if value is None else None)
            for word, value in expected.items()
        ]
    )


def test_invariance_says_what_it_measured() -> None:
    assert invariance.run({"spectra": []}, invariance.Options()).notes == (
        "no stored spectrum by slices of a model *: nothing to measure",
    )
    evals = np.sort(np.random.default_rng(0).pareto(2.0, 40) + 1)
    row = {"content_hash": "h", "layer_type": "dense", "N": 60, "M": 40, "evals": [evals.tolist()]}
    found = invariance.run({"spectra": [row, row]}, invariance.Options(factors=[0.1, 10.0]))
    assert found.notes[0] == "2 layers, weights times [0.1, 10.0]"
    laws: dict[str, list[str]] = {}
    for cell in found.cells:
        if cell.column == "layers changed":
            laws.setdefault(cell.verdict, []).append(cell.row)
    assert list(found.notes[1:]) == [f"{law}: {', '.join(names)}" for law, names in laws.items()]
    assert {"invariant", "shift", "power"} <= set(laws)
    assert {cell.n for cell in found.cells} == {2}
    assert [row["content_hash"] for row in found.design] == ["h", "h"]


@pytest.mark.parametrize(("weak", "modest", "strong", "fine"), [
    (0.1, 0.2, 0.3, True), (0.0, 0.2, 0.3, False), (0.2, 0.2, 0.3, False), (0.1, 0.3, 0.3, False),
    (0.1, 0.2, 1.0, False),
])  # fmt: skip
def test_thresholds_ascend(weak: float, modest: float, strong: float, fine: bool) -> None:
    if fine:
        assert contest_audit.Options(weak, modest, strong).word(-0.3) == "Strong"
    else:
        with pytest.raises(ValueError, match="expected 0 < weak < modest < strong < 1"):
            contest_audit.Options(weak, modest, strong)


def test_invariance_names_the_law_of_each_metric() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(3):
        weights = rng.standard_t(3, (60, 40))
        evals = np.linalg.eigvalsh(weights.T @ weights)
        rows.append({"content_hash": f"h{i}", "layer_type": "dense", "N": 60, "M": 40, "evals": [evals.tolist()]})
    found = invariance.run({"spectra": rows}, invariance.Options(threshold=1e-12))
    cells = {(c.row, c.column): c for c in found.cells}
    laws = {row: cell.verdict for (row, column), cell in cells.items() if column == "layers changed"}
    assert laws["alpha"] == laws["stable_rank"] == laws["D"] == "invariant"
    assert (laws["xmin"], cells["xmin", "power"].value) == ("power", pytest.approx(2.0))
    for name in ("log_norm", "log_spectral_norm"):
        assert (laws[name], cells[name, "shift"].value) == ("shift", pytest.approx(2.0))
        assert cells[name, "median change a decade"].value == pytest.approx(2.0)
    assert laws["alpha_weighted"] == "by layer"  # alpha log10 lam_max moves by 2 alpha a decade
    alphas = [c for (row, column), c in cells.items() if row == "alpha_weighted" and column.endswith("a decade")]
    assert alphas[0].value < alphas[1].value < alphas[2].value
    assert cells["alpha", "layers changed"].value == 0.0
    assert cells["alpha_weighted", "layers changed"].value == 1.0
    assert cells["alpha", "fits lost"].value == 0.0
    assert cells["alpha", "power"].reason == "the law is: invariant"
    lost = invariance.run({"spectra": rows}, invariance.Options(factors=[1e-9]))  # below the absolute threshold
    assert next(c.value for c in lost.cells if c.column == "fits lost" and c.row == "log_norm") == 0.0
    assert "alpha" not in {c.row for c in lost.cells}
    half = invariance.run({"spectra": rows}, invariance.Options(factors=[1e-9, 10.0], threshold=1e-12))
    assert next(c.value for c in half.cells if (c.row, c.column) == ("alpha", "fits lost")) == 0.5
    for factors in ([], [1.0], [0.0], [-2.0]):
        with pytest.raises(ValueError, match="factors="):
            invariance.Options(factors=factors)


NAMES = {"gpt2 small": "GPT2-small", "gpt2 medium": "GPT2-medium", "gpt2 large": "GPT2-large", "gpt2 xl": "GPT2-xl"}


def test_the_language_models_tables() -> None:
    rng = np.random.default_rng(0)
    metrics = ("log_norm", "log_spectral_norm", "alpha_weighted", "log_alpha_norm", "alpha")
    rows = []
    for name in (*NAMES, "gpt"):
        for i in range(6):
            kind = "embedding" if i < 2 else "dense"
            rows.append(
                {"name": name, "layer_id": i, "layer_type": kind} | {m: float(rng.normal(3, 1)) for m in metrics}
            )
            if i == 4:
                rows[-1]["alpha"] = None
            if i == 1:
                rows[-1]["log_spectral_norm"] = 3.5  # the text's filter leaves it out
            if name == "gpt2 large":
                rows[-1]["alpha"] = None
            if name == "gpt2 xl" and i == 3:
                rows[-1]["log_spectral_norm"] = None
    averages = [
        {"name": "gpt", "num_slices": 50, "basis": "printed averages"} | {m: float(rng.normal(3, 1)) for m in metrics}
    ]

    def mean(table: str, label: str, column: str, metric: str, own: list[dict]) -> Cell:
        values = [r[metric] for r in own if r[metric] is not None]
        if not values:
            return Cell(table, label, column, None, 0, reason="no matrix has it")
        return Cell(table, label, column, float(np.mean(values)), len(values), basis="layer rows")

    token = next(r for r in rows if r["name"] == "gpt" and r["layer_id"] == 1)
    printed = [("# matrices", 49.0)] + [(m, (50 * averages[0][m] - token[m]) / 49) for m in metrics[:4]]
    expected = [Cell("NC_T2", "GPT", column, value, 49, basis="printed averages") for column, value in printed]
    legend, basis = "alpha (Fig. legend 4.6)", "printed averages"
    expected.append(Cell("NC_TEXT_GPT2", "GPT", legend, averages[0]["alpha"], 50, basis=basis))
    for name, label in NAMES.items():
        own = [r for r in rows if r["name"] == name]
        kept = [r for r in own if label != "GPT2-small" or r["layer_id"] != 1]
        expected.append(Cell("NC_T2", label, "# matrices", len(kept), len(kept), basis="layer rows"))
        expected += [mean("NC_T2", label, metric, metric, kept) for metric in metrics[:4]]
        blocks = [r for r in own if r["layer_type"] == "dense"]
        expected += [mean("NC_T2_NO_EMBEDDING", label, metric, metric, blocks) for metric in metrics]
        if label == "GPT2-small":
            expected.append(mean("NC_TEXT_GPT2", label, "alpha (Fig. legend 3.8)", "alpha", own))
            alphas = [r["alpha"] for r in own if r["alpha"] is not None]
            most = max(alphas, default=None)
            words = "max alpha (text: all <= 6)"
            expected.append(Cell("NC_TEXT_GPT2", label, words, most, len(alphas), basis="layer rows"))
        else:
            small = [r for r in own if r["log_spectral_norm"] is not None and r["log_spectral_norm"] < 3.5]
            for metric, of in (("alpha", small), ("log_alpha_norm", small), ("log_spectral_norm", own)):
                expected.append(mean("NC_TEXT_GPT2", label, metric, metric, of))
    assert language.tables(rows, averages) == near(expected)
    rest = [cell for cell in expected if cell.row != "GPT"]
    for slices, others in (
        (rows, []), (rows, [averages[0] | {"name": "x"}]), (rows, [averages[0] | {"num_slices": None}]),
        ([r for r in rows if r["name"] != "gpt" or r["layer_id"] != 1], averages),
    ):  # fmt: skip
        assert language.tables(slices, others) == near(rest)
    gap = language.tables(rows, [averages[0] | {"log_norm": None}])
    assert [cell.value for cell in gap if (cell.row, cell.column) == ("GPT", "log_norm")] == [None]
