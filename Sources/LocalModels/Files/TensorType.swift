import Core

/// How the numbers of a tensor are stored, of the ways that the kernels can read: `q41` is GGUF's
/// Q4_1. The raw value is the one that GGUF and the kernels use.
enum TensorType: UInt32, Sendable, CaseIterable {
    case f32 = 0
    case f16 = 1
    case q40 = 2
    case q41 = 3
    case q80 = 8
    case bf16 = 30

    init(code: UInt32, of tensor: String, in file: String) throws {
        guard let type = TensorType(rawValue: code) else {
            let name = Self.otherNames[code] ?? "number \(code)"
            throw Failure(
                .unsupported,
                "\(file) cannot be run: its tensor \(tensor) has the type \(name). "
                    + "Take a file with F32, F16, BF16, Q8_0, Q4_0 or Q4_1.")
        }
        self = type
    }

    /// How many numbers are stored together, and in how many bytes.
    var block: (count: Int, bytes: Int) {
        switch self {
        case .f32: (1, 4)
        case .f16, .bf16: (1, 2)
        case .q40: (32, 18)
        case .q41: (32, 20)
        case .q80: (32, 34)
        }
    }

    func rowBytes(columns: Int) -> Int { columns / block.count * block.bytes }

    func rowBytes(columns: Int, in tensor: String, _ reader: GGUFReader) throws -> Int {
        guard columns % block.count == 0 else {
            throw reader.damaged("the rows of \(tensor) do not divide into blocks")
        }
        return rowBytes(columns: columns)
    }

    private static let otherNames: [UInt32: String] = [
        6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K",
        14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
        20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32",
        27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
    ]
}
