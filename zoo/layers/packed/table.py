"""The table of schemes in docs/formats.md: what is read exactly, what is refused.

`markdown()` writes it, a test compares. Every key of SCHEMES has a row here, and every scheme of refused.REFUSED.
"""

from __future__ import annotations

from typing import NamedTuple

READ, REFUSED = "read exactly", "refused by name"


class Row(NamedTuple):
    """One scheme."""

    written_by: str
    """Format or library."""
    scheme: str
    """What it stores."""
    status: str
    """READ or REFUSED."""
    since: str
    """Version of zoospectra since which this holds."""
    remark: str = ""
    """Conditions, and what is not covered."""


ROWS: dict[str, tuple[Row, ...]] = {
    "affine": (
        Row(
            "ONNX",
            "8-bit codes of DequantizeLinear, QLinear and other operators of onnxruntime",
            READ,
            "0.2",
        ),
        Row("TensorFlow Lite", "8-bit codes, one scale or one a channel", READ, "0.2"),
        Row("TensorFlow.js", "8- and 16-bit codes, q scale + min", READ, "0.2"),
    ),
    "blocks": (
        Row("ONNX", "MatMulNBits of 2, 4, 8 bits; int4 and blocks of DequantizeLinear", READ, "0.2", "no g_idx"),
    ),
    "gptq": (Row("AutoGPTQ, GPTQModel", "2, 3, 4, 8 bits, with and without g_idx, v1 and v2", READ, "0.1"),),
    "awq": (Row("AutoAWQ", "gemm, 4 bits", READ, "0.1"),),
    "bnb4": (Row("bitsandbytes", "nf4, fp4, double quantisation", READ, "0.1"),),
    "int8": (Row("bitsandbytes", "int8 by rows (SCB)", READ, "0.1"),),
    "microscaling": (
        Row("GPT-OSS, MLX, compressed-tensors", "MXFP4, MXFP6 (e2m3)", READ, "0.2"),
        Row("ModelOpt, compressed-tensors", "NVFP4", READ, "0.2"),
    ),
    "pack-quantized": (
        Row(
            "compressed-tensors", "pack-quantized, 1 to 8 bits", READ, "0.2", "needs config_groups, which say the bits"
        ),
    ),
    "hqq": (Row("HQQ", "1, 2, 3, 4, 8 bits", READ, "0.2", "the shape as a tensor; scales not quantised again"),),
    "quanto": (Row("optimum-quanto", "qint2, qint4", READ, "0.2", "with a bias, whose length tells the shape"),),
    "aqlm": (Row("AQLM", "additive codebooks", READ, "0.2"),),
    "mlx": (Row("MLX", "affine, 2 to 8 bits", READ, "0.2", "needs the configuration's bits and group size"),),
    "scaled": (
        Row("DeepSeek, ModelOpt, FBGEMM, compressed-tensors", "float8 and int8 with scales", READ, "0.1"),
        Row("torchao (safetensors), optimum-quanto", "int8, float8 with scales", READ, "0.2"),
        Row("compressed-tensors", "MXFP8", READ, "0.2"),
        Row("Keras", "int8 with kernel_scale, which divides (.h5)", READ, "0.2"),
        Row("any", "integers in a float type beside weight_scale", READ, "0.2"),
    ),
    "lora": (
        Row("PEFT, diffusers, kohya, GGUF, MLX, XLabs, cloneofsimo", "LoRA, rsLoRA, AdaLoRA, LoCon", READ, "0.2"),
        Row("PEFT, kohya, MLX", "DoRA", READ, "0.2", "the product; m (W + BA) / |W + BA| with its base"),
        Row("PEFT", "IA3, OFT, VeRA", READ, "0.2", "with its base; no constrained rotations (coft)"),
    ),
    "loha": (Row("LyCORIS, PEFT", "LoHa", READ, "0.2"),),
    "lokr": (Row("LyCORIS, PEFT", "LoKr", READ, "0.2"),),
    "pruned": (Row("torch.nn.utils.prune and others", "stored x mask of 0 and 1", READ, "0.2"),),
    "weight_norm": (Row("torch, both spellings", "weight normalisation", READ, "0.2"),),
    "spectral_norm": (Row("torch, both spellings; BigGAN", "spectral normalisation", READ, "0.2"),),
    "": (
        Row("torch", "orthogonal and other parametrizations, chains of them", REFUSED, "0.2", "the map is code"),
        Row("edge-popup and kin", "weight and scores", REFUSED, "0.2", "how many count is not in the file"),
        Row("PEFT", "BOFT, HRA and other kinds", REFUSED, "0.2", "OFT, VeRA, IA3 without their base too"),
        Row("ONNX", "MatMulBnb4, MatMulFpQ4, QMoE, GatherBlockQuantized, QAttention", REFUSED, "0.2"),
        Row("HQQ, pickled", "W_q with a dict 'meta'", REFUSED, "0.2", "the shape is no tensor"),
        Row("any", "integers in a float type without a scale", REFUSED, "0.2"),
    ),
    "EXL2": (Row("ExLlamaV2", "EXL2", REFUSED, "0.2"),),
    "EXL3": (Row("ExLlamaV3", "EXL3", REFUSED, "0.2"),),
    "Marlin": (Row("Marlin", "Marlin, sparse Marlin", REFUSED, "0.2"),),
    "GPTQ or AWQ in no known layout (gemv, Marlin, ExLlama)": (
        Row("AutoAWQ, GPTQModel", "gemv, gemv_fast, marlin, exllama layouts", REFUSED, "0.1"),
    ),
    "compressed-tensors": (Row("compressed-tensors", "marlin-24, sparse formats", REFUSED, "0.1"),),
    "product quantisation": (Row("fairseq", "centroids and assignments", REFUSED, "0.2"),),
    "VPTQ": (Row("VPTQ", "VPTQ", REFUSED, "0.2"),),
    "QuIP#": (Row("QuIP#", "QuIP#", REFUSED, "0.1"),),
    "SpQR": (Row("SpQR", "SpQR", REFUSED, "0.2"),),
    "ONNX QDQ integers": (Row("ONNX", "integers without a scale in the file", REFUSED, "0.1"),),
    "integer weights without a known scale": (
        Row("BitNet, EETQ and any other", "integer weights without a known scale", REFUSED, "0.1"),
    ),
}
"""Key of SCHEMES, or scheme of REFUSED, or '' -> its rows; damaged ones of HQQ, AQLM, quanto and so on are refused."""


def markdown() -> str:
    """The table."""
    lines = ["| format or library | scheme | status | since | remark |", "|---|---|---|---|---|"]
    rows = [row for group in ROWS.values() for row in group]
    for row in sorted(rows, key=lambda row: (row.status == REFUSED, row.written_by.lower(), row.scheme)):
        lines.append(f"| {row.written_by} | {row.scheme} | {row.status} | {row.since} | {row.remark} |")
    return "\n".join(lines) + "\n"
