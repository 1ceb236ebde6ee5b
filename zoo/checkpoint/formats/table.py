"""Formats of weights: how each is recognised, who reads it, what of it is read. docs/formats.md shows this table.

A new format is a file here and an entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zoospectra.zoo.checkpoint.formats.caffe import open_caffe
from zoospectra.zoo.checkpoint.formats.deepspeed import open_deepspeed
from zoospectra.zoo.checkpoint.formats.distcp import open_distcp
from zoospectra.zoo.checkpoint.formats.gguf_file import open_gguf
from zoospectra.zoo.checkpoint.formats.hdf5 import open_hdf5
from zoospectra.zoo.checkpoint.formats.memory import open_memory
from zoospectra.zoo.checkpoint.formats.numpy_files import open_npy, open_npz
from zoospectra.zoo.checkpoint.formats.onnx_file import open_onnx
from zoospectra.zoo.checkpoint.formats.pt2 import open_pt2
from zoospectra.zoo.checkpoint.formats.safetensors import open_safetensors
from zoospectra.zoo.checkpoint.formats.tf_checkpoint import open_saved_model, open_tf_checkpoint
from zoospectra.zoo.checkpoint.formats.tf_graph import open_tf_graph
from zoospectra.zoo.checkpoint.formats.tfjs import open_tfjs
from zoospectra.zoo.checkpoint.formats.tflite import open_tflite
from zoospectra.zoo.checkpoint.formats.torch_legacy import open_torch_legacy
from zoospectra.zoo.checkpoint.formats.torch_zip import open_torch_zip
from zoospectra.zoo.checkpoint.record import Checkpoint

Reader = Callable[[str], Checkpoint]
"""Opens a file (or folder, where the format is one) by its path."""


@dataclass(frozen=True, slots=True)
class Format:
    """A file format, or a layout of folders."""

    title: str
    """Name in messages and in the documentation."""
    reader: Reader | None
    """Opens one; None for a format that is recognised and not read."""
    suffixes: tuple[str, ...] = ()
    """Ends of names that promise it."""
    signed: bool = False
    """Whether content shows it: a file of its suffix without its signature is damaged, or something else."""
    since: str = ""
    """Version of this package that reads it; '' for none."""
    exact: str = ""
    """What is read, with exactly the values that the library computes with."""
    refused: str = ""
    """What is refused with a reason, or what to do instead."""


FORMATS: dict[str, Format] = {
    "safetensors": Format(
        "safetensors",
        open_safetensors,
        (".safetensors",),
        since="0.1",
        exact="every type of a byte or more; Flax', TensorFlow's and MLX' layouts",
        refused="types of less than a byte (F4, F6)",
    ),
    "torch_zip": Format(
        "torch.save since 1.6, TorchScript",
        open_torch_zip,
        (".pt", ".pth", ".th", ".bin", ".ckpt", ".pkl", ".pickle", ".tar"),
        signed=True,
        since="0.1",
        exact="every strided tensor, state dicts and whole modules; constants of frozen TorchScript",
        refused="quantised, sparse and nested torch tensors",
    ),
    "torch_legacy": Format(
        "torch.save before 1.6",
        open_torch_legacy,
        signed=True,
        since="0.1",
        exact="as the zip format",
        refused="as the zip format; torch 0.1's tar archives",
    ),
    "pt2": Format(
        "torch.export archive",
        open_pt2,
        (".pt2",),
        signed=True,
        since="0.2",
        exact="weights and constants of every model in it",
        refused="weights that are pickled one by one",
    ),
    "distcp": Format(
        "torch.distributed.checkpoint folder",
        open_distcp,
        (".distcp",),
        since="0.2",
        exact="whole tensors and shards along any axes",
        refused="transformed (compressed) shards; a shard without its .metadata",
    ),
    "deepspeed": Format(
        "DeepSpeed ZeRO folder",
        open_deepspeed,
        since="0.2",
        exact="stages 1 and 2: the module; stage 3: the partitioned float32 weights of all ranks",
        refused="stage 3 with missing ranks; model parallelism",
    ),
    "hdf5": Format(
        "HDF5 (Keras)",
        open_hdf5,
        (".h5", ".hdf5"),
        signed=True,
        since="0.1",
        exact="Keras 2 and 3 weights, variables by their layer's own order",
        refused="links to other files, filters that are not built in, big-endian data",
    ),
    "keras": Format(
        "Keras 3 archive", open_hdf5, (".keras",), signed=True, since="0.1", exact="as HDF5", refused="as HDF5"
    ),
    "onnx": Format(
        "ONNX",
        open_onnx,
        (".onnx",),
        since="0.1",
        exact="initialisers and constants of all graphs, laid out as their operator has them; codes with scales",
        refused="sparse initialisers; codes whose operator is not known",
    ),
    "gguf": Format(
        "GGUF",
        open_gguf,
        (".gguf",),
        signed=True,
        since="0.1",
        exact="every type that the gguf package dequantises",
        refused="version 1, big-endian files",
    ),
    "npz": Format("numpy archive", open_npz, (".npz",), signed=True, since="0.1", exact="plain arrays"),
    "npy": Format("numpy array", open_npy, (".npy",), signed=True, since="0.1", exact="plain arrays"),
    "tf_checkpoint": Format(
        "TensorFlow checkpoint (its .index beside .data-00000-of-00001)",
        open_tf_checkpoint,
        signed=True,
        since="0.2",
        exact="variables of TensorFlow 1 and 2 checkpoints, partitioned ones too",
        refused="variables cut along two axes, compressed or big-endian indices; version 1 of the format (before 2016)",
    ),
    "saved_model": Format(
        "TensorFlow SavedModel folder",
        open_saved_model,
        since="0.2",
        exact="its variables, as of a checkpoint",
        refused="as the checkpoint",
    ),
    "tensorflow": Format(
        "TensorFlow graph",
        open_tf_graph,
        (".pb",),
        since="0.2",
        exact="constants of a frozen graph that an operator multiplies with",
        refused="a graph without constants: its variables are in files beside it",
    ),
    "tflite": Format(
        "TensorFlow Lite",
        open_tflite,
        (".tflite",),
        signed=True,
        since="0.2",
        exact="float tensors; 8-bit ones with their scales",
        refused="4-bit and sparse tensors",
    ),
    "tfjs": Format(
        "TensorFlow.js folder",
        open_tfjs,
        since="0.2",
        exact="layers and graph models, 8- and 16-bit codes with their scale",
        refused="shards that are missing, or elsewhere",
    ),
    "caffe": Format(
        "Caffe",
        open_caffe,
        (".caffemodel",),
        since="0.2",
        exact="blobs of both generations of layers",
        refused="half-precision and HDF5 snapshots",
    ),
    "memory": Format("arrays of the running process", open_memory, since="0.2", exact="what a Python user hands over"),
    "tf_data": Format("TensorFlow checkpoint data without its .index", None, refused="put the .index beside it"),
    "ggml": Format("GGML", None, (".ggml",), refused="convert it to GGUF"),
    "msgpack": Format("Flax msgpack", None, (".msgpack",), refused="save it as safetensors"),
    "orbax": Format("Orbax checkpoint folder", None, refused="save it as safetensors"),
    "tar": Format("tar archive (torch 0.1, or a packed folder)", None, refused="unpack it, or save it again"),
    "gzip": Format("gzip archive", None, refused="unpack it"),
    "pickle": Format("pickle that torch.save did not write", None, refused="save it as safetensors"),
    "joblib": Format("joblib file", None, (".joblib",), refused="save its arrays as .npz"),
    "zip": Format("zip archive that torch.save did not write", None, refused="unpack it"),
    "openvino": Format("OpenVINO", None, refused="read the ONNX file that it was made from"),
    "coreml": Format("Core ML", None, (".mlmodel",), refused="read the model that it was made from"),
    "paddle": Format("PaddlePaddle", None, (".pdparams", ".pdiparams"), refused="convert it to ONNX"),
    "mxnet": Format("MXNet", None, (".params",), refused="convert it to ONNX"),
    "darknet": Format("Darknet", None, (".weights",), refused="convert it to ONNX"),
    "executorch": Format("ExecuTorch", None, (".pte",), refused="read the model that it was made from"),
    "rust": Format("rust-bert archive", None, (".ot",), refused="read the safetensors beside it"),
}
"""Format -> what is known about it."""

SUFFIXES: dict[str, str] = {suffix: name for name, entry in FORMATS.items() for suffix in entry.suffixes}
"""Suffixes of weight files -> what their name promises."""
