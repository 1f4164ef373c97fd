import CKernels
import Core
import Foundation
import Testing

@testable import LocalModels

@Suite("Sampling")
struct ChatSamplingTests {
    /// Probabilities 0.64, 0.24, 0.09, 0.03 and next to nothing.
    static let logits: [Float] = [1, 4, 2, 3, -20]

    struct Case: CustomStringConvertible, Sendable {
        let description: String
        let options: SamplingOptions
        let possible: Set<Int32>
    }

    static let cases = [
        Case(
            description: "temperature 0 takes the best",
            options: SamplingOptions(temperature: 0), possible: [1]),
        Case(
            description: "top-k of 1 takes the best",
            options: SamplingOptions(temperature: 5, topK: 1), possible: [1]),
        Case(
            description: "top-k of 2",
            options: SamplingOptions(temperature: 5, topK: 2, topP: 1), possible: [1, 3]),
        Case(
            description: "top-p of 0.8 takes what reaches it",
            options: SamplingOptions(temperature: 5, topK: 0, topP: 0.8), possible: [1, 3]),
        Case(
            description: "top-p of 0.5 within top-k of 3",
            options: SamplingOptions(temperature: 5, topK: 3, topP: 0.5), possible: [1]),
        Case(
            description: "min-p of 0.1 of the best",
            options: SamplingOptions(temperature: 5, topK: 0, topP: 1, minP: 0.1),
            possible: [1, 2, 3]),
        Case(
            description: "a heat that makes all alike",
            options: SamplingOptions(temperature: 100, topK: 0, topP: 1),
            possible: [0, 1, 2, 3, 4]),
        Case(
            description: "top-p of nearly all",
            options: SamplingOptions(temperature: 100, topK: 0, topP: 0.999),
            possible: [0, 1, 2, 3]),
    ]

    @Test("Filters leave what they should and all of it", arguments: cases)
    func filters(_ test: Case) throws {
        #expect(try Set(Self.draws(500, test.options).map(\.token)) == test.possible)
    }

    @Test("Temperature 1 draws by the model's own probabilities")
    func frequencies() throws {
        let options = SamplingOptions(temperature: 1, topK: 0, topP: 1, seed: 11)
        let drawn = try Self.draws(20_000, options).map(\.token)
        for (token, share) in [(Int32(1), 0.644), (3, 0.237), (2, 0.087), (0, 0.032)] {
            let found = Double(drawn.filter { $0 == token }.count) / 20_000
            #expect(abs(found - share) < 0.012, "\(token)")
        }
    }

    @Test("A seed gives the same answer again, and another seed another")
    func seeds() throws {
        let options = SamplingOptions(temperature: 2, topK: 0, topP: 1, seed: 5)
        var other = options
        other.seed = 6
        #expect(try Self.draws(50, options) == Self.draws(50, options))
        #expect(try Self.draws(50, options) != Self.draws(50, other))
    }

    @Test(
        "Logits that are not numbers are never picked where there is another",
        arguments: [0.0, 0.7, 100])
    func broken(temperature: Double) throws {
        for topK in [0, 3] {
            for topP in [0.9, 1] {
                let options = SamplingOptions(temperature: temperature, topK: topK, topP: topP)
                let some = try Self.draws(50, options, [.nan, .nan, 1, .nan, -.infinity])
                #expect(Set(some.map(\.token)) == [2])
                #expect(
                    try Self.draws(5, options, [.nan, .nan, .nan]).allSatisfy { $0.token == nil })
                #expect(
                    try Self.draws(5, options, [1, .infinity, 2]).allSatisfy { $0.token == 1 })
            }
        }
    }

    @Test(
        "Options that mean nothing are refused",
        arguments: [
            SamplingOptions(temperature: -1), SamplingOptions(temperature: .nan),
            SamplingOptions(temperature: .infinity), SamplingOptions(topK: -1),
            SamplingOptions(topP: 0), SamplingOptions(topP: 1.1), SamplingOptions(minP: -0.1),
            SamplingOptions(minP: 2), SamplingOptions(outputTokensMax: 0),
            SamplingOptions(stop: Array(repeating: "x", count: 17)),
            SamplingOptions(stop: [String(repeating: "x", count: 1025)]),
        ])
    func refusals(_ options: SamplingOptions) {
        #expect(throws: Failure.self) { try Sampler(options, random: { 0 }) }
    }

    @Test("Bias bans and forces, penalties look at the answer, repetition at the prompt too")
    func adjusted() throws {
        func tokens(_ prompt: [Int32] = [], _ change: (inout SamplingOptions) -> Void) throws
            -> [Int32?]
        {
            var options = SamplingOptions(temperature: 0)
            change(&options)
            var sampler = try Sampler(options, prompt: prompt, random: { 0 })
            return (0..<4).map { _ in sampler.pick(of: [1, 2, 1.5, -1])?.token }
        }
        #expect(try tokens { _ in } == [1, 1, 1, 1])
        #expect(try tokens { $0.logitBias = [1: -100] } == [2, 2, 2, 2])
        #expect(try tokens { $0.logitBias = [3: 100] } == [3, 3, 3, 3])
        #expect(try tokens { $0.presencePenalty = 0.6 } == [1, 2, 1, 1])
        #expect(try tokens { $0.frequencyPenalty = 0.6 } == [1, 2, 1, 0])
        #expect(try tokens([1]) { $0.repetitionPenalty = 1.5 } == [2, 1, 1, 1])
        #expect(
            try tokens { $0.logitBias = [0: -100, 1: -100, 2: -100, 3: -100] } == [
                nil, nil, nil, nil,
            ])
    }

    @Test("Log probabilities are the model's own, whatever is done to the logits")
    func logprobs() throws {
        var options = SamplingOptions(temperature: 0)
        options.topLogprobs = 2
        options.logitBias = [3: 100]
        var sampler = try Sampler(options, random: { 0 })
        let found = sampler.pick(of: [1000, 1000 + log(2), .nan, 1000 - log(2)])
        let pick = try #require(found)
        // Shares of 2, 4 and 1 in 7.
        #expect(pick.token == 3 && abs((pick.logprob ?? 0) - log(1.0 / 7)) < 1e-4)
        #expect(pick.top.map(\.token) == [1, 0])
        let error = zip(pick.top, [4.0 / 7, 2.0 / 7]).map { abs($0.logprob - log($1)) }.max()
        #expect(error ?? 1 < 1e-4)
        options.logitBias = [:]
        sampler = try Sampler(options, random: { 0 })
        let last = sampler.pick(of: [0, -.infinity, -.infinity])
        let sure = try #require(last)
        #expect(sure.logprob == 0 && sure.top.allSatisfy { $0.logprob.isFinite })
    }

    struct Drawn: Equatable {
        /// Nil where no logit is a number.
        let token: Int32?
    }

    private static func draws(
        _ count: Int, _ options: SamplingOptions, _ logits: [Float] = logits
    ) throws -> [Drawn] {
        var sampler = try Sampler(options, random: { 42 })
        let scratch = UnsafeMutablePointer<kernel_candidate>.allocate(capacity: logits.count)
        defer { scratch.deallocate() }
        return (0..<count).map { _ in
            var logits = logits
            let pick = logits.withUnsafeMutableBufferPointer { sampler.pick(from: $0, scratch) }
            return Drawn(token: pick?.token)
        }
    }
}

extension Sampler {
    mutating func pick(of logits: [Float]) -> Pick? {
        var logits = logits
        let scratch = UnsafeMutablePointer<kernel_candidate>.allocate(capacity: logits.count)
        defer { scratch.deallocate() }
        return logits.withUnsafeMutableBufferPointer { pick(from: $0, scratch) }
    }
}

@Suite("Text from tokens")
struct ChatTextAssemblerTests {
    struct Case: CustomStringConvertible, Sendable {
        let description: String
        let stops: [String]
        let parts: [[UInt8]]
        let pieces: [String]
        let rest: String
    }

    static let cases = [
        Case(
            description: "plain text passes at once", stops: [],
            parts: [Array("Hello".utf8), Array(" you".utf8)], pieces: ["Hello", " you"], rest: ""),
        Case(
            description: "a character waits for all of its bytes", stops: [],
            parts: [[0x61, 0xF0, 0x9F], [0x98], [0x80, 0x62]], pieces: ["a", "", "😀b"], rest: ""),
        Case(
            description: "a cut character at the end is left out", stops: [],
            parts: [[0x61], [0xE2, 0x82]], pieces: ["a", ""], rest: ""),
        Case(
            description: "a byte that begins nothing is replaced", stops: [],
            parts: [[0xFF, 0x61], [0x80]], pieces: ["\u{FFFD}a", "\u{FFFD}"], rest: ""),
        Case(
            description: "a stop string ends the text and is not part of it", stops: ["END"],
            parts: [Array("one END two".utf8), Array("three".utf8)], pieces: ["one ", ""], rest: ""),
        Case(
            description: "what may become a stop string is held back", stops: ["\n\nUser:"],
            parts: [Array("yes\n".utf8), Array("\nUs".utf8), Array("er: no".utf8)],
            pieces: ["yes", "", ""], rest: ""),
        Case(
            description: "and given out when it does not", stops: ["\n\nUser:"],
            parts: [Array("yes\n".utf8), Array("\nUs".utf8), Array("e".utf8), Array(" it".utf8)],
            pieces: ["yes", "", "", "\n\nUse it"], rest: ""),
        Case(
            description: "and at the end", stops: ["STOP"], parts: [Array("go ST".utf8)],
            pieces: ["go "], rest: "ST"),
        Case(
            description: "the first stop string counts", stops: ["b", "ab"],
            parts: [Array("xxab".utf8)], pieces: ["xx"], rest: ""),
        Case(
            description: "a stop string of half a character's bytes away", stops: ["é"],
            parts: [[0x61, 0xC3], [0xA9, 0x62]], pieces: ["a", ""], rest: ""),
        Case(
            description: "an empty stop string is none", stops: [""], parts: [Array("a".utf8)],
            pieces: ["a"], rest: ""),
        Case(
            description: "a stop string that begins within a false start", stops: ["aab"],
            parts: [Array("aa".utf8), Array("ab".utf8)], pieces: ["", "a"], rest: ""),
    ]

    @Test("Pieces are whole characters, stop strings held back", arguments: cases)
    func pieces(_ test: Case) {
        var text = TextAssembler(stops: test.stops)
        #expect(test.parts.map { text.append($0) } == test.pieces)
        #expect(text.finish() == test.rest)
    }

    @Test("However bytes are cut, the text is the same")
    func cuts() {
        let bytes = Array("naïve 😀 漢字 👍🏽 e\u{301} end".utf8)
        for size in 1...7 {
            var text = TextAssembler(stops: ["never"])
            var all = ""
            for start in stride(from: 0, to: bytes.count, by: size) {
                let piece = text.append(Array(bytes[start..<min(bytes.count, start + size)]))
                #expect(!piece.unicodeScalars.contains("\u{FFFD}"))
                all += piece
            }
            #expect(Array((all + text.finish()).utf8) == bytes)
        }
    }
}
