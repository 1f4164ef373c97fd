#!/usr/bin/env python3
"""The same model with its Q4_1 tensors as Q4_0, which llama.cpp is fastest with. All else is copied."""
import argparse

import gguf
import numpy

QUANTIZED = gguf.GGMLQuantizationType.Q4_0


def requantize(source, target):
    reader = gguf.GGUFReader(source)
    architecture = reader.get_field("general.architecture").contents()
    writer = gguf.GGUFWriter(target, architecture)
    for field in reader.fields.values():
        # The writer puts in what is its own.
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        value = field.contents()
        if field.name == "general.file_type":
            value = int(gguf.LlamaFileType.MOSTLY_Q4_0)
        writer.add_key_value(field.name, value, kind, sub_type=inner)
    tensors = []
    for tensor in reader.tensors:
        data, kind = tensor.data, tensor.tensor_type
        if kind == gguf.GGMLQuantizationType.Q4_1:
            floats = gguf.dequantize(data, kind)
            data, kind = gguf.quantize(numpy.ascontiguousarray(floats), QUANTIZED), QUANTIZED
        writer.add_tensor_info(tensor.name, data.shape, data.dtype, data.nbytes, raw_dtype=kind)
        tensors.append(data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for data in tensors:
        writer.write_tensor_data(numpy.ascontiguousarray(data))
    writer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("target")
    options = parser.parse_args()
    requantize(options.source, options.target)
