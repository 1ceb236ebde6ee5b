"""Writes the TensorFlow Lite files beside it and what TensorFlow's interpreter says their weights are.

python make.py        with tensorflow 2.21 in an environment of its own; overwrites *.tflite and weights.npz
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
INT8 = tf.lite.OpsSet.TFLITE_BUILTINS_INT8


def net() -> keras.Model:
    """A convolution, a depthwise and a transposed one, a dense layer."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((8, 8, 3), batch_size=1)
    hidden = layers.DepthwiseConv2D(3)(layers.Conv2D(4, 3)(inputs))
    return keras.Model(inputs, layers.Dense(5)(layers.Flatten()(layers.Conv2DTranspose(2, 3)(hidden))))


def weights(path: Path) -> dict[str, np.ndarray]:
    """Constant tensors as numbers, as the interpreter gives them with their scales, in the file's layout."""
    interpreter = tf.lite.Interpreter(str(path))
    interpreter.allocate_tensors()
    found = {}
    for detail in interpreter.get_tensor_details():
        shape, numbers = detail["shape"], detail["quantization_parameters"]
        try:
            values = interpreter.get_tensor(detail["index"])
        except ValueError:
            continue
        if len(shape) < 2 or (shape[0] == 1 and shape[-1] != 4) or "shape" in detail["name"]:
            continue
        if detail["dtype"] == np.int8:
            along = [1] * len(shape)
            along[numbers["quantized_dimension"]] = -1
            scales, zeros = numbers["scales"].reshape(along), numbers["zero_points"].reshape(along)
            values = (values.astype(np.float32) - zeros) * scales
        found[detail["name"].partition(";")[0].replace("/", ".")] = values
    return found


def main() -> None:
    """All files."""
    model = net()
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    (HERE / "float32.tflite").write_bytes(converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    (HERE / "float16.tflite").write_bytes(converter.convert())
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    rng = np.random.default_rng(0)
    converter.representative_dataset = lambda: ([rng.random((1, 8, 8, 3)).astype(np.float32)] for _ in range(4))
    converter.target_spec.supported_ops = [INT8]
    (HERE / "int8.tflite").write_bytes(converter.convert())
    np.savez(HERE / "weights.npz", **{f"{p.stem}|{n}": v for p in HERE.glob("*.tflite") for n, v in weights(p).items()})


if __name__ == "__main__":
    main()
