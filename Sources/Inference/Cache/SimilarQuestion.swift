import Core

/// A question as it is compared to others: where it was asked, its vector, and what else has to
/// agree.
struct SimilarQuestion: Sendable {
    /// User, model, instructions, conversation so far and sampling: all but the question itself.
    let around: CacheKey
    let text: String
    let traits: QuestionTraits
    let vector: QuestionVector

    // The embedding model reads 256 tokens; of a longer text it would not see the end.
    static let bytesMax = 500
    private static let purposes: Set<String> = ["api", "turn"]

    /// The last message of a request of which the answer may be that of a similar question; nil for
    /// one that has more than words to it:
    ///
    /// - tools, images, a form the answer has to have, several choices, or probabilities of tokens;
    /// - a last message that is not a user's, has several lines, or is longer than the embedding
    ///   model reads. Passages and texts to work on stand in such messages;
    /// - a question about this moment, or one that the appliance asks for itself.
    static func text(of request: ChatRequest) -> String? {
        guard purposes.contains(request.purpose), request.tools.isEmpty, request.choice == 0,
            request.responseFormat == .text, request.sampling.topLogprobs == nil,
            let last = request.messages.last, last.role == .user, last.name == nil,
            last.text.utf8.count <= bytesMax, last.text.contains(where: { $0.isLetter }),
            !last.text.contains(where: \.isNewline)
        else { return nil }
        let isPlain = request.messages.allSatisfy { message in
            message.role != .tool && message.toolCalls.isEmpty && !message.hasImages
        }
        return isPlain && !QuestionTraits(last.text).isOfNow ? last.text : nil
    }

    /// About what it takes in memory.
    var bytes: Int {
        Self.overheadBytes + vector.values.count * MemoryLayout<Float>.stride + 4 * text.utf8.count
    }

    private static let overheadBytes = 1024
}

/// A vector of unit length, and whose it is: those of different models have nothing in common.
struct QuestionVector: Sendable {
    let candidate: String
    let values: [Float]

    /// The cosine; nil for vectors of different models.
    func similarity(to other: QuestionVector) -> Double? {
        guard candidate == other.candidate, values.count == other.values.count, !values.isEmpty
        else { return nil }
        return values.withUnsafeBytes { left in
            other.values.withUnsafeBytes { right in
                let size = MemoryLayout<SIMD8<Float>>.size
                var (sums, place) = (SIMD8<Float>.zero, 0)
                while place + size <= left.count {
                    sums +=
                        left.loadUnaligned(fromByteOffset: place, as: SIMD8<Float>.self)
                        * right.loadUnaligned(fromByteOffset: place, as: SIMD8<Float>.self)
                    place += size
                }
                var sum = sums.sum()
                while place < left.count {
                    sum +=
                        left.loadUnaligned(fromByteOffset: place, as: Float.self)
                        * right.loadUnaligned(fromByteOffset: place, as: Float.self)
                    place += MemoryLayout<Float>.size
                }
                return Double(sum)
            }
        }
    }
}
