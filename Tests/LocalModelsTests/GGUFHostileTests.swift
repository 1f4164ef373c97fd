import CKernels
import Core
import Foundation
import Testing

@testable import LocalModels

/// Files made to hurt: whatever they say, reading them ends soon, with a sentence or with tables in
/// which everything lies inside the file.
@Suite("Hostile GGUF files")
struct GGUFHostileTests {
    /// A model without its vocabulary, which is most of a header.
    private static func writer() -> GGUFWriter {
        var writer = ModelFamily(name: "hostile", architecture: "llama", layers: 1).writer()
        writer.metadata.removeAll { $0.0.hasPrefix("tokenizer.") }
        writer.metadata.append(("texts", .texts(["a", "\u{0}", "é"])))
        writer.metadata.append(("numbers", .integers([1, 2])))
        return writer
    }

    /// Nil when the file was read, otherwise what was said about it.
    private static func read(_ bytes: [UInt8]) throws -> Failure? {
        do {
            let gguf = try GGUF(MappedModel(name: "hostile.gguf", copying: bytes))
            for tensor in gguf.tensors.values {
                #expect(tensor.bytes.lowerBound >= 0 && tensor.bytes.upperBound <= bytes.count)
                #expect(
                    tensor.bytes.count == tensor.type.rowBytes(columns: tensor.columns)
                        * tensor.rows)
            }
            for text in try gguf.strings("texts") ?? [] {
                #expect(text.lowerBound >= 0 && text.upperBound <= bytes.count)
            }
            _ = try gguf.integers("numbers")
            let shape = try ModelShape(gguf)
            for frequencies in shape.ropeFrequencies {
                #expect(frequencies.count == shape.ropeWidth / 2)
                #expect(frequencies.allSatisfy { $0.isFinite })
            }
            _ = try ModelWeights(gguf, shape, vocabulary: ModelFamily.vocabulary)
            return nil
        } catch let failure as Failure {
            return failure
        }
    }

    /// Every number of a header, whatever its size, becomes every number that is worth trying.
    @Test("Any number of a header may be anything")
    func numbers() throws {
        let bytes = Self.writer().bytes()
        let headerBytes = bytes.count - Self.writer().tensors.reduce(0) { $0 + $1.bytes.count }
        #expect(headerBytes < 4000)
        let numbers: [UInt64] = [
            0, 1, 2, 9, 31, 33, 1 << 20, 1 << 31, UInt64(UInt32.max), 1 << 62, 1 << 63,
            UInt64(Int64.max) - 31, .max,
        ]
        var refused = 0
        for offset in 0..<headerBytes - 8 {
            for (round, number) in numbers.enumerated() where (offset + round) % 3 == 0 {
                var changed = bytes
                let size = round % 2 == 0 ? 8 : 4
                for byte in 0..<size {
                    changed[offset + byte] = UInt8(truncatingIfNeeded: number >> (8 * byte))
                }
                if let failure = try Self.read(changed) {
                    refused += 1
                    #expect(
                        [.invalid, .unsupported].contains(failure.code)
                            && failure.message.utf8.count < 2000
                            && !failure.message.contains("\n"), "\(offset): \(failure.message)")
                }
            }
        }
        #expect(refused > headerBytes)
    }

    @Test("Any entry may be missing, doubled, or in another's place")
    func entries() throws {
        let good = Self.writer()
        #expect(try Self.read(good.bytes()) == nil)
        var random = Random(state: 9)
        for number in good.metadata.indices {
            var writer = good
            let key = writer.metadata.remove(at: number).0
            _ = try Self.read(writer.bytes())
            writer = good
            writer.metadata.append(good.metadata[number])
            #expect(try Self.read(writer.bytes())?.message.contains("twice") == true, "\(key)")
            for _ in 0..<4 {
                writer = good
                writer.metadata[number].1 = good.metadata[random.below(good.metadata.count)].1
                _ = try Self.read(writer.bytes())
            }
        }
        for number in good.tensors.indices {
            var writer = good
            let name = writer.tensors.remove(at: number).name
            #expect(try Self.read(writer.bytes())?.message.contains(name) == true, "\(name)")
            writer = good
            writer.tensors.append(good.tensors[number])
            #expect(try Self.read(writer.bytes())?.message.contains("twice") == true, "\(name)")
            writer = good
            writer.overlapping = name
            if number > 0 {
                #expect(
                    try Self.read(writer.bytes())?.message.contains("overlap") == true, "\(name)")
            }
            for type in 0..<UInt32(64) {
                writer = good
                writer.tensors[number].type = type
                let failure = try Self.read(writer.bytes())
                #expect(failure != nil || TensorType(rawValue: type) != nil, "\(name): \(type)")
            }
        }
    }

    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let says: String
        let value: GGUFWriter.Value
    }

    static let values = [
        Case(
            testDescription: "a list of lists", says: "unknown type 9",
            value: .raw(type: 9, bytes: bytes(9, 1) + bytes(9, 1) + bytes(4, 0))),
        Case(
            testDescription: "more strings than any vocabulary", says: "4194305",
            value: .raw(type: 9, bytes: bytes(8, 1 << 22 + 1))),
        Case(
            testDescription: "as many numbers as there are bytes in the world",
            says: "length of bad",
            value: .raw(type: 9, bytes: bytes(10, 1 << 61))),
        Case(
            testDescription: "a string past the end", says: "middle of bad",
            value: .raw(type: 8, bytes: Array(UInt64(1 << 20).littleEndianBytes))),
        Case(
            testDescription: "a string of half the address space", says: "length of bad",
            value: .raw(type: 8, bytes: Array((UInt64(1) << 63).littleEndianBytes))),
        Case(
            testDescription: "a number too large", says: "bad is",
            value: .raw(type: 10, bytes: Array(repeating: 0xFF, count: 8))),
        Case(
            testDescription: "a type of no one", says: "unknown type 13",
            value: .raw(type: 13, bytes: [])),
    ]

    @Test("A value that cannot be is refused by name", arguments: values)
    func value(_ test: Case) throws {
        var writer = Self.writer()
        writer.metadata.append(("bad", test.value))
        let failure = try #require(try Self.read(writer.bytes()))
        #expect(failure.code == .invalid)
        #expect(failure.message.contains(test.says), "\(failure.message)")
    }

    @Test("A file of version 2 is read like one of version 3")
    func version() throws {
        var writer = Self.writer()
        writer.version = 2
        #expect(try Self.read(writer.bytes()) == nil)
    }

    @Test("Texts that are no UTF-8 are read, and texts without end are not")
    func texts() throws {
        var writer = Self.writer()
        writer.metadata.append(
            ("odd", .raw(type: 8, bytes: Array(UInt64(3).littleEndianBytes) + [0xFF, 0, 0xC3])))
        #expect(try Self.read(writer.bytes()) == nil)
        let long = GGUFWriter.Value.text(String(repeating: "x", count: 1 << 20))
        writer.metadata += (0..<17).map { ("long\($0)", long) }
        #expect(try Self.read(writer.bytes())?.message.contains("longer than") == true)
    }

    /// Sizes that no maker of models would choose, and kernels might trip over.
    @Test("Networks of any sizes run, and the same with every kernel", arguments: 0..<24)
    func sizes(_ round: Int) async throws {
        var random = Random(state: UInt64(round) + 100)
        var family = ModelFamily(name: "odd", architecture: "llama", layers: 1)
        family.architecture = ["llama", "qwen3", "gemma3", "phi3"][round % 4]
        family.keyHeads = 1 + random.below(3)
        family.heads = family.keyHeads * (1 + random.below(4))
        family.headWidth = 2 + random.below(round % 5 == 0 ? 600 : 70)
        family.feedForwardWidth = 1 + random.below(100)
        family.features =
            [[.biases], [.headNorms], [.headNorms, .postNorms], [.fused, .untied]][round % 4]
        family.width = 1 + random.below(100)
        let ropeWidth = 2 * (1 + random.below(family.headWidth / 2))
        family.keys = [("rope.dimension_count", .integer(UInt32(ropeWidth)))]
        if family.architecture == "gemma3" {
            family.keys.append(("attention.sliding_window", .integer(3)))
        }
        var answers: [[Double]] = []
        for set in Int32(0)..<8 where kernel_set_at(set) != nil {
            answers.append(
                try await family.logprobs(after: [9], threads: 2, kernelSet: set)[0])
        }
        #expect(answers[0].allSatisfy { $0.isFinite })
        for answer in answers {
            let worst = zip(answer, answers[0]).map { abs($0 - $1) }.max() ?? .infinity
            #expect(worst < 0.05, "\(family)")
        }
    }

    private static func bytes(_ type: UInt32, _ count: UInt64) -> [UInt8] {
        Array(type.littleEndianBytes) + Array(count.littleEndianBytes)
    }
}

extension FixedWidthInteger {
    fileprivate var littleEndianBytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(self)
        return bytes
    }
}
