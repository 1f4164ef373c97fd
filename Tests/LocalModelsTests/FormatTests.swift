import CKernels
import Foundation
import Testing

@testable import LocalModels

/// Every format of weights against what the gguf package makes of the same blocks, which
/// Fixtures/gguf_formats.py wrote down.
@Suite("Formats of weights")
struct FormatTests {
    struct File: Decodable { let items: [Item] }

    struct Item: Decodable, CustomTestStringConvertible {
        let type: Int32
        let name: String
        let columns: Int
        let bytes: Int
        let blocks: Data
        let weights: Data
        var testDescription: String { name }

        var expected: [Float] {
            weights.withUnsafeBytes { bytes in
                stride(from: 0, to: bytes.count, by: 4).map {
                    Float(
                        bitPattern: UInt32(
                            littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt32.self)))
                }
            }
        }
    }

    static let items = Result { try ChatReference.read(File.self, "gguf_formats.json").items }

    @Test("There is a case for each of fifteen formats")
    func cases() throws {
        #expect(try Set(Self.items.get().map(\.type)).count == 15)
        for type: Int32 in [4, 5, 9, 15, 16, 29, 99, -1] {
            #expect(kernel_format_of(type).block_columns == 0, "\(type)")
        }
    }

    @Test("Weights are those of the format to the bit", arguments: (try? items.get()) ?? [])
    func weights(_ item: Item) {
        let format = kernel_format_of(item.type)
        #expect(Int(format.block_columns) == item.columns)
        #expect(Int(format.block_bytes) == item.bytes)
        let expected = item.expected
        var wide = [Float](repeating: .nan, count: expected.count)
        item.blocks.withUnsafeBytes {
            kernel_expand_row(item.type, $0.baseAddress, expected.count, &wide)
        }
        #expect(wide == expected)
    }

    @Test("Codes, scales and offsets say the same", arguments: (try? items.get()) ?? [])
    func codes(_ item: Item) {
        let format = kernel_format_of(item.type)
        let expected = item.expected
        let group = Int(format.group)
        guard format.is_integer else {
            #expect(group == 0)
            return
        }
        var codes = [Int8](repeating: 0, count: expected.count)
        var scales = [Float](repeating: .nan, count: expected.count / group)
        var offsets = scales
        item.blocks.withUnsafeBytes {
            kernel_decode(
                item.type, $0.baseAddress, expected.count, &codes, &scales, &offsets)
        }
        #expect(codes.allSatisfy { (format.code_min...format.code_max).contains(Int32($0)) })
        #expect(format.has_offset || offsets.allSatisfy { $0 == 0 })
        // In double precision nothing is rounded before the end.
        let sums = codes.indices.map {
            Float(Double(scales[$0 / group]) * Double(codes[$0]) + Double(offsets[$0 / group]))
        }
        #expect(sums == expected)
    }
}
