#!/usr/bin/env python3
"""Makes tiny_reranker.json: scores of pairs by a BERT cross-encoder of one layer, computed with numpy in
double precision from the published description (Devlin et al. 2019), by none of our code. The weights are
those that `SafetensorsSample.encoder` has in the tests: sin(index) / 4, and norms of weight 1, shift 0."""
import json
import math
import os

import numpy

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "##b", "c", "hello", "."]
WIDTH, INNER, HEADS, PLACES = 24, 48, 12, 16


def weights(*shape):
    index = numpy.arange(math.prod(shape), dtype=numpy.float32)
    return (numpy.sin(index) / numpy.float32(4)).astype(numpy.float64).reshape(shape)


def linear(values, outputs):
    return values @ weights(outputs, values.shape[-1]).T + weights(outputs)


def norm(values):
    middle = values.mean(-1, keepdims=True)
    return (values - middle) / numpy.sqrt(((values - middle) ** 2).mean(-1, keepdims=True) + 1e-12)


def gelu(values):
    return values * 0.5 * (1 + numpy.vectorize(math.erf)(values / math.sqrt(2)))


def score(tokens, kinds, labels):
    words, kind = weights(len(VOCABULARY), WIDTH), weights(2, WIDTH)
    hidden = norm(words[tokens] + weights(PLACES, WIDTH)[:len(tokens)] + kind[kinds])
    parts = [linear(hidden, WIDTH).reshape(len(tokens), HEADS, -1).transpose(1, 0, 2)] * 3
    shares = parts[0] @ parts[1].transpose(0, 2, 1) / math.sqrt(WIDTH / HEADS)
    shares = numpy.exp(shares - shares.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    attended = (shares @ parts[2]).transpose(1, 0, 2).reshape(len(tokens), WIDTH)
    hidden = norm(hidden + linear(attended, WIDTH))
    hidden = norm(hidden + linear(gelu(linear(hidden, INNER)), WIDTH))
    outputs = linear(numpy.tanh(linear(hidden[0], WIDTH)), labels)
    if labels == 1:
        return 1 / (1 + math.exp(-outputs[0]))
    return float(numpy.exp(outputs[1]) / numpy.exp(outputs).sum())


def pair(question, text):
    """Already pieces; the longer loses its last ones until 16 are left with the three marks."""
    question, text = list(question), list(text)
    while len(question) + len(text) + 3 > PLACES:
        (question if len(question) > len(text) else text).pop()
    pieces = ["[CLS]"] + question + ["[SEP]"] + text + ["[SEP]"]
    kinds = [0] * (len(question) + 2) + [1] * (len(text) + 1)
    return [VOCABULARY.index(piece) for piece in pieces], kinds


PAIRS = [("hello", "hello ."), ("a c", "hello a c ."), ("a b c", "c"), ("hello", ""),
         ("a", "a " * 30), ("c " * 30, "a"), ("a " * 30, "c " * 30)]

if __name__ == "__main__":
    items = []
    for question, text in PAIRS:
        tokens, kinds = pair(question.split(), text.split())
        items.append({"question": question, "text": text, "tokens": tokens, "second": kinds.index(1),
                      "one": score(tokens, kinds, 1), "two": score(tokens, kinds, 2)})
    with open(os.path.join(os.path.dirname(__file__), "tiny_reranker.json"), "w") as file:
        json.dump({"items": items}, file, indent=1)
        file.write("\n")
