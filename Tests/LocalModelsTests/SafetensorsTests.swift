import Core
import TestSupport
import Testing

@testable import LocalModels

@Suite("Safetensors files")
struct SafetensorsTests {
    @Test("Tensors lie where the header says")
    func reading() throws {
        var sample = SafetensorsSample()
        sample.add("first", 2, 3) { Float($0) }
        sample.add("second", 2) { Float($0) + 10 }

        let file = try read(sample.file)
        let first = try file.floats("first", [2, 3])
        let second = try file.floats("second", [2])

        #expect((0..<6).map { first[$0] } == [0, 1, 2, 3, 4, 5])
        #expect((0..<2).map { second[$0] } == [10, 11])
    }

    @Test("What is not stored as expected is refused by name")
    func refusedTensors() throws {
        var sample = SafetensorsSample()
        sample.add("weight", 2, 3) { Float($0) }
        sample.tensors.append(("half", "F16", [2], [0, 0, 0, 0]))
        let file = try read(sample.file)

        expect(.invalid, "missing") { try file.floats("missing", [1]) }
        expect(.invalid, "[2, 3]") { try file.floats("weight", [3, 2]) }
        expect(.unsupported, "F16") { try file.floats("half", [2]) }
    }

    @Test(
        "A header that does not describe the file is refused",
        arguments: [
            ("nothing", "", 0),
            ("no JSON", "no JSON at all", 0),
            ("an array", "[]", 0),
            ("an open object", "{", 0),
            ("a tensor that is a number", #"{"a":1}"#, 0),
            ("no offsets", #"{"a":{"dtype":"F32","shape":[1]}}"#, 4),
            ("one offset", entry(offsets: "[0]"), 4),
            ("three offsets", entry(offsets: "[0,4,4]"), 4),
            ("offsets that run backwards", entry(offsets: "[4,0]"), 4),
            ("a negative offset", entry(offsets: "[-4,0]"), 4),
            ("an offset past the end", entry(offsets: "[0,8]", shape: "[2]"), 4),
            ("an offset past all numbers", entry(offsets: "[0,18446744073709551616]"), 4),
            ("an offset at the largest number", entry(offsets: "[0,9223372036854775807]"), 4),
            ("an offset that is no whole number", entry(offsets: "[0,4.5]"), 4),
            ("a shape that is too large for its bytes", entry(shape: "[2]"), 4),
            ("a shape that overflows", entry(shape: "[4294967296,4294967296]"), 4),
            ("a negative shape", entry(shape: "[-1,-1]"), 4),
            ("a shape that overflows to its bytes", entry(shape: "[4611686018427387905]"), 4),
            ("too many dimensions", entry(shape: "[1,1,1,1,1,1,1,1,1]"), 4),
            ("an unknown type", entry(type: "Q4"), 4),
            ("bytes that no tensor owns", entry(), 8),
            ("a gap", #"{"a":\#(object("[0,4]")),"b":\#(object("[8,12]"))}"#, 12),
            ("an overlap", #"{"a":\#(object("[0,4]")),"b":\#(object("[0,4]"))}"#, 4),
            ("deep nesting", String(repeating: "[", count: 100_000), 0),
            ("deep nesting in a tensor", entry(shape: String(repeating: "[", count: 100_000)), 4),
        ])
    func damagedHeader(what: String, header: String, dataBytes: Int) {
        let file = SafetensorsSample.file(
            header: header, data: [UInt8](repeating: 0, count: dataBytes))
        expect(.invalid, "sample") { try read(file) }
    }

    @Test(
        "A length that is not the header's is refused",
        arguments: [0, 1, 9, 1000, UInt64(Safetensors.headerBytesMax) + 1, .max, .max - 7])
    func damagedLength(length: UInt64) {
        let file = withUnsafeBytes(of: length.littleEndian, Array.init) + Array("{}      ".utf8)
        expect(.invalid, "sample") { try read(file) }
    }

    @Test("A file cut off anywhere is refused")
    func truncation() {
        var sample = SafetensorsSample()
        sample.add("first", 2, 3) { Float($0) }
        let file = sample.file
        for length in file.indices {
            expect(.invalid, "sample") { try read(Array(file[..<length])) }
        }
    }

    @Test("A file with any bytes changed is read or refused, and never read past its end")
    func fuzzing() throws {
        var sample = SafetensorsSample()
        sample.add("first", 2, 3) { Float($0) }
        sample.add("second", 4) { Float($0) }
        let sound = sample.file
        let digits = Array("0123456789-[]{}\",:e.".utf8)
        var random = SeededGenerator(seed: 7)
        for _ in 0..<4000 {
            var file = sound
            for _ in 0...Int.random(in: 0..<4, using: &random) {
                let place = Int.random(in: 0..<file.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: file[place] = UInt8.random(in: 0...255, using: &random)
                case 1: file.remove(at: place)
                default: file[place] = digits.randomElement(using: &random) ?? 0
                }
            }
            do {
                let read = try self.read(file)
                #expect(read.tensors.values.allSatisfy { $0.bytes.upperBound <= file.count })
            } catch let failure as Failure {
                #expect(failure.code == .invalid)
            }
        }
    }

    private func read(_ file: [UInt8]) throws -> Safetensors {
        try Safetensors(MappedModel(name: "sample", copying: file))
    }
}

private func object(
    _ offsets: String = "[0,4]", shape: String = "[1]", type: String = "F32"
) -> String {
    #"{"dtype":"\#(type)","shape":\#(shape),"data_offsets":\#(offsets)}"#
}

private func entry(
    offsets: String = "[0,4]", shape: String = "[1]", type: String = "F32"
) -> String {
    #"{"a":\#(object(offsets, shape: shape, type: type))}"#
}

/// The body fails with that code, in a sentence that has `words` in it.
func expect<Value>(
    _ code: Failure.Code, _ words: String, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> Value
) {
    do {
        _ = try body()
        Issue.record("Nothing was thrown.", sourceLocation: sourceLocation)
    } catch {
        let failure = error as? Failure
        #expect(failure?.code == code, sourceLocation: sourceLocation)
        #expect(failure?.message.contains(words) == true, sourceLocation: sourceLocation)
    }
}
