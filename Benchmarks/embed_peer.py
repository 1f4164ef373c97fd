"""The peer for embeddings: onnxruntime with the model's own weights, in single precision and in int8,
each as a plain graph and as one of fused operators; whichever is faster counts.

As a program it answers jobs like `heptad bench-embeddings`: a line {"ids": [[...]], "seconds": ...} on
standard input, a line for it on standard output."""
import argparse
import json
import os
import struct
import sys
import time

import numpy as np

HEADS = 12
KINDS = ("float32", "float32-fused", "int8", "int8-fused")


def weights(folder):
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    return {name: np.frombuffer(data, np.float32, int(np.prod(entry["shape"])),
                                entry["data_offsets"][0]).reshape(entry["shape"])
            for name, entry in header.items()
            if name != "__metadata__" and entry["dtype"] == "F32"}


class Graph:
    """A BERT encoder as ONNX: what torch would export, or with the operators that onnxruntime's
    optimizer fuses out of that."""

    def __init__(self, folder):
        from onnx import TensorProto, helper, numpy_helper
        self.helper, self.to_tensor, self.types = helper, numpy_helper.from_array, TensorProto
        self.weights = weights(folder)
        self.nodes, self.constants = [], {}

    def constant(self, name, array):
        if name not in self.constants:
            self.constants[name] = self.to_tensor(np.ascontiguousarray(array), name)
        return name

    def weight(self, name):
        return self.constant(name, self.weights[name])

    def matrix(self, name):
        return self.constant(name + ".turned", self.weights[name + ".weight"].T)

    def node(self, kind, *inputs, domain="", **attributes):
        output = f"value{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, inputs, [output], domain=domain,
                                                name=f"node{len(self.nodes)}", **attributes))
        return output

    def linear(self, x, name):
        return self.node("Add", self.node("MatMul", x, self.matrix(name)),
                         self.weight(name + ".bias"))

    def norm(self, x, name):
        return self.node("LayerNormalization", x, self.weight(name + ".weight"),
                         self.weight(name + ".bias"), axis=-1, epsilon=1e-12)

    def fused_norm(self, x, residual, bias, name):
        return self.node("SkipLayerNormalization", x, residual, self.weight(name + ".weight"),
                         self.weight(name + ".bias"), self.weight(bias), domain="com.microsoft",
                         epsilon=1e-12)

    def embed(self):
        words, types, places = (self.weight(f"embeddings.{name}_embeddings.weight")
                                for name in ("word", "token_type", "position"))
        length = self.node("Shape", "input_ids", start=1, end=2)
        zero = self.constant("zero", np.array([0], np.int64))
        return self.norm(
            self.node("Add", self.node("Add", self.node("Gather", words, "input_ids"),
                                       self.node("Gather", types, "token_type_ids")),
                      self.node("Slice", places, zero, length, zero)), "embeddings.LayerNorm")

    def plain(self):
        x, width = self.embed(), len(self.weights["embeddings.LayerNorm.weight"])
        mask = self.node(
            "Cast", self.node("Unsqueeze", "attention_mask",
                              self.constant("axes", np.array([1, 2], np.int64))),
            to=self.types.FLOAT)
        mask = self.node("Mul", self.node("Sub", self.constant("one", np.float32(1)), mask),
                         self.constant("low", np.finfo(np.float32).min))
        split = self.constant("split", np.array([0, 0, HEADS, width // HEADS], np.int64))
        join = self.constant("join", np.array([0, 0, width], np.int64))
        for name in self.layers():
            heads = [self.node("Transpose", self.node("Reshape", self.linear(
                x, f"{name}.attention.self.{part}"), split), perm=perm)
                for part, perm in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]),
                                   ("value", [0, 2, 1, 3]))]
            scores = self.node("Div", self.node("MatMul", *heads[:2]),
                               self.constant("scale", np.float32((width / HEADS) ** 0.5)))
            shares = self.node("Softmax", self.node("Add", scores, mask), axis=-1)
            mixed = self.node("Reshape", self.node("Transpose", self.node(
                "MatMul", shares, heads[2]), perm=[0, 2, 1, 3]), join)
            x = self.norm(self.node("Add", self.linear(mixed, f"{name}.attention.output.dense"), x),
                          f"{name}.attention.output.LayerNorm")
            wide = self.linear(x, f"{name}.intermediate.dense")
            bent = self.node("Erf", self.node("Div", wide,
                                              self.constant("root", np.float32(2 ** 0.5))))
            wide = self.node("Mul", self.node("Mul", wide, self.node(
                "Add", bent, self.constant("one", np.float32(1)))),
                self.constant("half", np.float32(0.5)))
            x = self.norm(self.node("Add", self.linear(wide, f"{name}.output.dense"), x),
                          f"{name}.output.LayerNorm")

    def fused(self):
        x = self.embed()
        mask = self.node("Cast", self.node("ReduceSum", "attention_mask", self.constant(
            "axis", np.array([1], np.int64)), keepdims=0), to=self.types.INT32)
        for name in self.layers():
            parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
            mixed = self.node(
                "Attention", x,
                self.constant(name + ".projection", np.concatenate(
                    [self.weights[part + ".weight"].T for part in parts], 1)),
                self.constant(name + ".projection_bias", np.concatenate(
                    [self.weights[part + ".bias"] for part in parts])),
                mask, domain="com.microsoft", num_heads=HEADS)
            out = f"{name}.attention.output"
            x = self.fused_norm(self.node("MatMul", mixed, self.matrix(out + ".dense")), x,
                                out + ".dense.bias", out + ".LayerNorm")
            wide = self.node(
                "BiasGelu", self.node("MatMul", x, self.matrix(f"{name}.intermediate.dense")),
                self.weight(f"{name}.intermediate.dense.bias"), domain="com.microsoft")
            x = self.fused_norm(self.node("MatMul", wide, self.matrix(f"{name}.output.dense")), x,
                                f"{name}.output.dense.bias", f"{name}.output.LayerNorm")

    def layers(self):
        count = 0
        while f"encoder.layer.{count}.output.dense.weight" in self.weights:
            yield f"encoder.layer.{count}"
            count += 1

    def save(self, path):
        import onnx
        self.nodes[-1].output[0] = "last_hidden_state"
        inputs = [self.helper.make_tensor_value_info(name, self.types.INT64, ["batch", "length"])
                  for name in ("input_ids", "attention_mask", "token_type_ids")]
        output = self.helper.make_tensor_value_info(
            "last_hidden_state", self.types.FLOAT, ["batch", "length", "width"])
        graph = self.helper.make_graph(self.nodes, "encoder", inputs, [output],
                                       list(self.constants.values()))
        onnx.save(self.helper.make_model(
            graph, ir_version=9, opset_imports=[self.helper.make_opsetid("", 17),
                                                self.helper.make_opsetid("com.microsoft", 1)]), path)


def export(model, folder):
    """Writes a graph of each kind. int8 as most people make it: weights by output, activations as
    they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    for suffix, build in (("", Graph.plain), ("-fused", Graph.fused)):
        graph = Graph(model)
        build(graph)
        exact = os.path.join(folder, f"float32{suffix}.onnx")
        graph.save(exact)
        quantize_dynamic(exact, os.path.join(folder, f"int8{suffix}.onnx"), per_channel=True,
                         weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": 1})


class Encoder:
    def __init__(self, path, threads):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(path, options,
                                                    providers=["CPUExecutionProvider"])

    def embed(self, ids):
        """All of one length: without padding every row has all of its tokens."""
        hidden = self.session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids),
                                         "token_type_ids": np.zeros_like(ids)})[0]
        vectors = hidden.mean(1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graphs", help="a folder with the graphs, as `export` writes them")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    encoders = {kind: Encoder(os.path.join(options.graphs, kind + ".onnx"), options.threads)
                for kind in options.kinds}
    for line in sys.stdin:
        job = json.loads(line)
        ids, encoder = np.array(job["ids"], np.int64), encoders[job["kind"]]
        count, began = 0, time.perf_counter()
        while count == 0 or time.perf_counter() - began < job["seconds"]:
            vectors = encoder.embed(ids)
            count += len(ids)
        print(json.dumps({"sentences_per_s": count / (time.perf_counter() - began),
                          "vector": vectors[0].tolist()}), flush=True)


if __name__ == "__main__":
    main()
