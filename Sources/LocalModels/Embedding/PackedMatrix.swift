import CKernels

typealias EncoderKernels = UnsafePointer<encoder_kernels>

/// A product of the encoder with its bias, in memory of its own.
final class PackedMatrix: Sendable {
    enum Format: Int32, Sendable {
        case floats = 0
        case words = 1
        case bytes = 2
    }

    /// Some outputs that are still to be packed.
    struct Part {
        let matrix: PackedMatrix
        let linear: BertEncoder.Linear
        let outputs: Range<Int>
        /// The first of them in the matrix.
        let place: Int

        func pack() {
            matrix.kernels.pointee.pack_outputs(
                matrix.memory, linear.weight + outputs.lowerBound * linear.inputs,
                linear.bias + outputs.lowerBound, place, outputs.count)
        }
    }

    private static let partOutputsMax = 384

    let format: Format
    let inputs: Int
    let outputs: Int
    /// All of them have to be packed, by any threads, before the matrix is used.
    // SAFETY: they point into the mapped file of the encoder, which outlives what is packed of it.
    nonisolated(unsafe) private let linears: [BertEncoder.Linear]
    // SAFETY: a table of functions that never changes.
    nonisolated(unsafe) private let kernels: EncoderKernels
    // SAFETY: parts write to different places, and all of them before anyone reads.
    nonisolated(unsafe) private let memory: UnsafeMutableRawPointer

    /// Room for products with the same inputs, whose outputs follow each other.
    init(_ kernels: EncoderKernels, _ format: Format, _ linears: [BertEncoder.Linear]) {
        self.kernels = kernels
        self.format = format
        self.linears = linears
        inputs = linears.first?.inputs ?? 0
        outputs = linears.map(\.outputs).reduce(0, +)
        memory = .allocate(
            byteCount: kernels.pointee.packed_bytes(format.rawValue, inputs, outputs),
            alignment: 64)
        kernels.pointee.pack_begin(memory, format.rawValue, inputs, outputs)
    }

    deinit { memory.deallocate() }

    var parts: [Part] {
        var parts: [Part] = []
        var place = 0
        for linear in linears {
            for first in stride(from: 0, to: linear.outputs, by: Self.partOutputsMax) {
                let outputs = first..<min(first + Self.partOutputsMax, linear.outputs)
                parts.append(Part(matrix: self, linear: linear, outputs: outputs, place: place))
                place += outputs.count
            }
        }
        return parts
    }

    /// Bytes of one row to multiply with.
    var rowBytes: Int { kernels.pointee.row_bytes(format.rawValue, inputs) }

    /// output = input x weights + bias, then gelu of it if `activates`. Rows of the input follow each
    /// other, those of the output lie `stride` apart; `scratch` has room for as many of `rowBytes`.
    func multiply(
        _ input: UnsafePointer<Float>, _ rows: Int, scratch: UnsafeMutableRawPointer,
        _ output: UnsafeMutablePointer<Float>, stride: Int, activates: Bool = false
    ) {
        var formatted = UnsafeRawPointer(input)
        if format != .floats || rowBytes != inputs * MemoryLayout<Float>.stride {
            kernels.pointee.format_rows(format.rawValue, input, inputs, rows, scratch)
            formatted = UnsafeRawPointer(scratch)
        }
        kernels.pointee.multiply(memory, formatted, rows, output, stride, activates)
    }
}
