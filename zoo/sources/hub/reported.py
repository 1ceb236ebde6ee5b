"""What a model's card reports: model-index and evaluation results, as rows with direction, unit as written, source.

Sample of a model-index result: {"task": {"type": "image-classification"}, "dataset": {"type": "imagenet-1k", "config":
"default", "split": "validation"}, "metrics": [{"type": "accuracy", "value": 0.812}]}
Specifications: https://github.com/huggingface/hub-docs/blob/main/modelcard.md?plain=1 and eval_results.yaml there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from zoospectra.zoo.model import ReportedMetric
from zoospectra.zoo.sources.hub.value import number, words

LESS = """
loss perplexity ppl wer cer ter eer error err mae mse rmse mape smape mase fid fvd kid lpips bpb bpc brier ece hter der
frechet latency toxicity
"""
"""Words of metric names for which less is better, as the evaluate library and the hub's leaderboards use them."""

MORE = """
accuracy acc f1 precision recall auc auroc map ap ndcg mrr mcc matthews kappa bleu sacrebleu rouge rouge1 rouge2 rougel
rougelsum meteor chrf bertscore bleurt em exact match pass score reward comet hit hits similarity top1 top5 r2 spearman
spearmanr pearson pearsonr iou miou dice psnr ssim
"""
"""Words of metric names for which more is better."""

LOWER_IS_BETTER = frozenset(LESS.split())
HIGHER_IS_BETTER = frozenset(MORE.split())

MAX_RESULTS = 5000
"""Most numbers of one model that are kept: some embedding models report thousands."""


def direction(metric: str) -> bool | None:
    """Whether more of a metric is better, by the words of its name; None when they do not say."""
    parts = [word for word in re.split(r"[^a-z0-9]+", metric.lower()) if word]
    if any(word in LOWER_IS_BETTER for word in parts):
        return False
    return True if any(word in HIGHER_IS_BETTER for word in parts) else None


def reported(item: Mapping[str, Any]) -> tuple[tuple[ReportedMetric, ...], int]:
    """Everything that one model reports, and how many reported values are no numbers."""
    rows: list[ReportedMetric] = []
    dropped = 0
    card = item.get("cardData")
    index = item.get("model-index") or (card.get("model-index") if isinstance(card, Mapping) else None)
    for row in (*_model_index(index), *_evaluations(item.get("evalResults"))):
        if row is None:
            dropped += 1
        elif row not in rows[-1:] and len(rows) < MAX_RESULTS:
            rows.append(row)
    return tuple(dict.fromkeys(rows)), dropped


def _model_index(index: object) -> Iterable[ReportedMetric | None]:
    """Rows of a model-index; malformed parts of it are passed over, each by itself."""
    for entry in _objects(index):
        for result in _objects(entry.get("results")):
            dataset = _dataset(result.get("dataset"))
            source = result.get("source")
            publisher = _text(source.get("name")) or _text(source.get("url")) if isinstance(source, Mapping) else None
            for metric in _objects(result.get("metrics")):
                name = _text(metric.get("type")) or _text(metric.get("name"))
                if name is None or "value" not in metric:
                    continue
                origin = f"model-index ({publisher})" if publisher else "model-index"
                yield _row(dataset, name, metric["value"], origin + (", verified" if metric.get("verified") else ""))


def _evaluations(results: object) -> Iterable[ReportedMetric | None]:
    """Rows of .eval_results; they name a task of a benchmark and no metric, so the metric is 'score'."""
    for item in _objects(results):
        entry = item.get("data") if isinstance(item.get("data"), Mapping) else item
        assert isinstance(entry, Mapping)
        dataset, source = entry.get("dataset"), entry.get("source")
        if "error" in item or not isinstance(dataset, Mapping) or "value" not in entry:
            continue
        parts = [_text(dataset.get("id")), _text(dataset.get("task_id"))]
        name = "/".join(part for part in parts if part and part != "default").lower()
        publisher = _text(source.get("name")) or _text(source.get("url")) if isinstance(source, Mapping) else None
        date = _text(entry.get("date"))
        origin = f"eval-results ({publisher})" if publisher else "eval-results"
        verified = ", verified" if entry.get("verifyToken") else ""
        yield _row(name or "unknown", "score", entry["value"], origin + verified, date[:10] if date else None)


def _row(dataset: str, metric: str, value: object, source: str, date: str | None = None) -> ReportedMetric | None:
    plain = number(value)
    if plain is None:
        return None
    better = direction(metric)
    # A direction nobody stated is marked, so that no table mixes it with known ones unseen.
    source = source if better is not None else f"{source}; direction assumed"
    return ReportedMetric(dataset, metric.lower(), plain, better is not False, source, date, words(value))


def _dataset(entry: object) -> str:
    """Data set with configuration and split: numbers of different splits are never the same column."""
    if not isinstance(entry, Mapping):
        return "unknown"
    name = _text(entry.get("type")) or _text(entry.get("name")) or "unknown"
    parts = [name, *(part for key in ("config", "split") if (part := _text(entry.get(key))) and part != "default")]
    return "/".join(parts).lower()


def _objects(items: object) -> Iterable[Mapping[str, Any]]:
    """The objects of a list; nothing for anything else."""
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _text(value: object) -> str | None:
    return value.strip()[:200] or None if isinstance(value, str) else None
