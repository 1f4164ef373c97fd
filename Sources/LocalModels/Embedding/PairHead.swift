import Core

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What a sequence-classification model has on top of its encoder: the pooler, a product and tanh of
/// the first token's vector, and the classifier, a product with one output or two.
struct PairHead: Sendable {
    private let width: Int
    private let labels: Int
    // SAFETY: all of them point into `file`, which is read-only and lives as long as this value.
    nonisolated(unsafe) private let pooler:
        (weight: UnsafePointer<Float>, bias: UnsafePointer<Float>)
    nonisolated(unsafe) private let classifier:
        (weight: UnsafePointer<Float>, bias: UnsafePointer<Float>)
    private let file: MappedModel

    static let classifierName = "classifier.weight"

    /// Throws `unsupported` for a classifier with more outputs than two.
    init(_ file: MappedModel, width: Int) throws {
        let tensors = try Safetensors(file)
        let prefix = tensors.tensors["bert.pooler.dense.weight"] == nil ? "" : "bert."
        labels = tensors.tensors[Self.classifierName]?.shape.first ?? 0
        guard (1...2).contains(labels) else {
            throw Failure(
                .unsupported,
                "\(file.name) tells \(labels) kinds of text apart; a reranker has one score.")
        }
        self.width = width
        self.file = file
        pooler = (
            try tensors.floats(prefix + "pooler.dense.weight", [width, width]),
            try tensors.floats(prefix + "pooler.dense.bias", [width])
        )
        classifier = (
            try tensors.floats(Self.classifierName, [labels, width]),
            try tensors.floats("classifier.bias", [labels])
        )
    }

    /// How well the pair fits, from 0 to 1: the logistic function of the one output, or the share of
    /// the second. `first` is the vector of `[CLS]`.
    func score(_ first: ArraySlice<Float>) -> Double {
        let pooled = first.withUnsafeBufferPointer { first in
            (0..<width).map { row in
                tanh(Self.product(pooler.weight + row * width, first) + pooler.bias[row])
            }
        }
        let outputs = pooled.withUnsafeBufferPointer { pooled in
            (0..<labels).map { row in
                Self.product(classifier.weight + row * width, pooled) + classifier.bias[row]
            }
        }
        let logit = labels == 1 ? outputs[0] : outputs[1] - outputs[0]
        return 1 / (1 + exp(-Double(logit)))
    }

    private static func product(
        _ weights: UnsafePointer<Float>, _ values: UnsafeBufferPointer<Float>
    ) -> Float {
        var sum: Float = 0
        for place in values.indices { sum += weights[place] * values[place] }
        return sum
    }
}
