import CKernels

/// How the numbers of a tensor are stored, of the ways that the kernels can read: `q41` is GGUF's
/// Q4_1. The raw value is the one that GGUF and the kernels use.
enum TensorType: UInt32, Sendable, CaseIterable {
    case f32 = 0
    case f16 = 1
    case q40 = 2
    case q41 = 3
    case q50 = 6
    case q51 = 7
    case q80 = 8
    case q2K = 10
    case q3K = 11
    case q4K = 12
    case q5K = 13
    case q6K = 14
    case iq4NL = 20
    case iq4XS = 23
    case bf16 = 30

    /// How many numbers are stored together, and in how many bytes.
    var block: (count: Int, bytes: Int) {
        let format = kernel_format_of(Int32(rawValue))
        return (Int(format.block_columns), Int(format.block_bytes))
    }

    /// `columns` must be whole blocks.
    func rowBytes(columns: Int) -> Int { columns / block.count * block.bytes }

    /// GGUF's name of the type.
    var name: String { Self.name(of: rawValue) }

    /// What GGUF calls a type by this number, one that cannot be read included.
    static func name(of code: UInt32) -> String { names[code] ?? "number \(code)" }

    private static let names: [UInt32: String] = [
        0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1",
        10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS",
        17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S",
        23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M",
        30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
    ]
}
