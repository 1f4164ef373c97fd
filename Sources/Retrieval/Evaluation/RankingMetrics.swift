import Foundation

/// How good one order of documents is for one question, or many on average; all from 0 to 1.
package struct RankingMetrics: Codable, Sendable, Equatable {
    /// Discounted gain of the first 10, against the best order there could be; gains are 2^grade - 1.
    package var nDCGAt10 = 0.0
    package var recallAt5 = 0.0
    /// What share of the documents that answer is among the first 10. `Pass@10` of retrieval sets
    /// for code is the same figure.
    package var recallAt10 = 0.0
    package var recallAt100 = 0.0
    /// Whether any that answers is among the first 10.
    package var successAt10 = 0.0
    /// One over the place of the first that answers, among the first 10.
    package var reciprocalRankAt10 = 0.0

    init() {}

    /// - Parameters:
    ///   - documents: best first, none twice.
    ///   - grades: of those that answer the question, from 1.
    init(of documents: [String], grades: [String: Int]) {
        let found = documents.map { grades[$0] ?? 0 }
        let best = grades.values.sorted(by: >)
        let ideal = Self.gain(of: best.prefix(10))
        guard ideal > 0 else { return }
        func recall(_ count: Int) -> Double {
            Double(found.prefix(count).count { $0 > 0 }) / Double(grades.count)
        }
        nDCGAt10 = Self.gain(of: found.prefix(10)) / ideal
        recallAt5 = recall(5)
        recallAt10 = recall(10)
        recallAt100 = recall(100)
        if let first = found.prefix(10).firstIndex(where: { $0 > 0 }) {
            successAt10 = 1
            reciprocalRankAt10 = 1 / Double(first + 1)
        }
    }

    private static func gain(of grades: ArraySlice<Int>) -> Double {
        grades.enumerated().reduce(0) { sum, place in
            sum + (exp2(Double(place.element)) - 1) / log2(Double(place.offset + 2))
        }
    }

    /// The mean of each figure; zeros for no questions.
    init(mean all: [RankingMetrics]) {
        guard !all.isEmpty else { return }
        func mean(_ figure: (RankingMetrics) -> Double) -> Double {
            all.reduce(0) { $0 + figure($1) } / Double(all.count)
        }
        nDCGAt10 = mean(\.nDCGAt10)
        recallAt5 = mean(\.recallAt5)
        recallAt10 = mean(\.recallAt10)
        recallAt100 = mean(\.recallAt100)
        successAt10 = mean(\.successAt10)
        reciprocalRankAt10 = mean(\.reciprocalRankAt10)
    }
}
