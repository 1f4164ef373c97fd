import CKernels
import Foundation

@testable import LocalModels

/// Writes GGUF files, right or wrong as a test needs them.
struct GGUFWriter {
    enum Value {
        case integer(UInt32)
        case float(Float)
        case text(String)
        case boolean(Bool)
        case texts([String])
        case integers([Int32])
        case raw(type: UInt32, bytes: [UInt8])
    }

    var version: UInt32 = 3
    var metadata: [(String, Value)] = []
    var tensors: [(name: String, dimensions: [Int], type: UInt32, bytes: [UInt8])] = []
    /// The tensor of this name begins where the one before it does.
    var overlapping: String?

    func bytes() -> [UInt8] {
        var header = Array("GGUF".utf8)
        header.append(version)
        header.append(UInt64(tensors.count))
        header.append(UInt64(metadata.count))
        for (key, value) in metadata {
            header.append(key)
            switch value {
            case .integer(let number):
                header.append(UInt32(4))
                header.append(number)
            case .float(let number):
                header.append(UInt32(6))
                header.append(number.bitPattern)
            case .boolean(let claim):
                header.append(UInt32(7))
                header.append(UInt8(claim ? 1 : 0))
            case .text(let text):
                header.append(UInt32(8))
                header.append(text)
            case .texts(let texts):
                header.append(UInt32(9))
                header.append(UInt32(8))
                header.append(UInt64(texts.count))
                for text in texts { header.append(text) }
            case .integers(let numbers):
                header.append(UInt32(9))
                header.append(UInt32(5))
                header.append(UInt64(numbers.count))
                for number in numbers { header.append(number) }
            case .raw(let type, let bytes):
                header.append(type)
                header += bytes
            }
        }
        var data: [UInt8] = []
        var offset = 0
        for tensor in tensors {
            header.append(tensor.name)
            header.append(UInt32(tensor.dimensions.count))
            for dimension in tensor.dimensions { header.append(UInt64(dimension)) }
            header.append(tensor.type)
            if tensor.name != overlapping { offset = data.count }
            header.append(UInt64(offset))
            data += tensor.bytes
            data += Array(repeating: 0, count: (32 - data.count % 32) % 32)
        }
        header += Array(repeating: 0, count: (32 - header.count % 32) % 32)
        return header + data
    }
}

extension [UInt8] {
    mutating func append<T: FixedWidthInteger>(_ number: T) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }

    mutating func append(_ text: String) {
        append(UInt64(text.utf8.count))
        append(contentsOf: text.utf8)
    }
}

/// A Llama of two layers with weights by chance: it speaks nonsense, fast, and always the same.
enum TinyModel {
    static let contextTokens = 128
    /// Every byte is a token, then three controls, then three merges.
    static let tokens: [String] =
        (0...255).map { String(ByteAlphabet.scalar(of: UInt8($0))) }
        + ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "he", "ll", "hell"]
    static let template =
        """
        {% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
        {{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + \
        message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
        """

    static func model(threads: Int = 2, seed: UInt64 = 1) throws -> LocalChatModel {
        try LocalChatModel(
            MappedModel(name: "tiny.gguf", copying: writer(seed: seed).bytes()), threads: threads)
    }

    static func writer(
        type: TensorType = .q41, seed: UInt64 = 1, contextTokens: Int = contextTokens
    ) -> GGUFWriter {
        // Rows are whole blocks.
        let width = max(64, type.block.count)
        let inner = max(96, type.block.count)
        var writer = GGUFWriter()
        writer.metadata = [
            ("general.architecture", .text("llama")),
            ("llama.block_count", .integer(2)),
            ("llama.context_length", .integer(UInt32(contextTokens))),
            ("llama.embedding_length", .integer(UInt32(width))),
            ("llama.feed_forward_length", .integer(UInt32(inner))),
            ("llama.attention.head_count", .integer(4)),
            ("llama.attention.head_count_kv", .integer(2)),
            ("llama.attention.layer_norm_rms_epsilon", .float(1e-5)),
            ("llama.rope.freq_base", .float(10_000)),
            ("tokenizer.ggml.model", .text("gpt2")),
            ("tokenizer.ggml.pre", .text("smollm")),
            ("tokenizer.ggml.tokens", .texts(tokens)),
            (
                "tokenizer.ggml.token_type",
                .integers(tokens.indices.map { (256...258).contains($0) ? 3 : 1 })
            ),
            ("tokenizer.ggml.merges", .texts(["h e", "l l", "he ll"])),
            ("tokenizer.ggml.eos_token_id", .integer(258)),
            ("tokenizer.chat_template", .text(template)),
        ]
        var random = Random(state: seed)
        func add(_ name: String, _ columns: Int, _ rows: Int, _ type: TensorType, _ scale: Float) {
            let values = (0..<columns * rows).map { _ in random.number() * scale }
            writer.tensors.append(
                (
                    name, rows == 1 ? [columns] : [columns, rows], type.rawValue,
                    encode(values, type)
                ))
        }
        add("token_embd.weight", width, tokens.count, .q80, 1)
        for layer in 0..<2 {
            let name = "blk.\(layer)."
            add(name + "attn_norm.weight", width, 1, .f32, 2)
            add(name + "attn_q.weight", width, width, type, 0.5)
            add(name + "attn_k.weight", width, width / 2, type, 0.5)
            add(name + "attn_v.weight", width, width / 2, type, 0.5)
            add(name + "attn_output.weight", width, width, type, 0.5)
            add(name + "ffn_norm.weight", width, 1, .f32, 2)
            add(name + "ffn_gate.weight", width, inner, type, 0.5)
            add(name + "ffn_up.weight", width, inner, type, 0.5)
            add(name + "ffn_down.weight", inner, width, type, 0.5)
        }
        add("output_norm.weight", width, 1, .f32, 2)
        return writer
    }

    /// Stores numbers the way of a type, blocks with one scale each.
    static func encode(_ values: [Float], _ type: TensorType) -> [UInt8] {
        var bytes: [UInt8] = []
        func half(_ value: Float) { bytes.append(Float16(value).bitPattern) }
        switch type {
        case .f32: for value in values { bytes.append(value.bitPattern) }
        case .f16: for value in values { half(value) }
        case .bf16: for value in values { bytes.append(UInt16(value.bitPattern >> 16)) }
        case .q40, .q41, .q80:
            for start in stride(from: 0, to: values.count, by: 32) {
                let block = values[start..<start + 32]
                let low = block.min() ?? 0
                let high = block.max() ?? 0
                switch type {
                case .q80:
                    let scale = max(abs(low), abs(high)) / 127
                    half(scale)
                    for value in block { bytes.append(UInt8(bitPattern: Int8(value / scale))) }
                default:
                    let scale = type == .q41 ? (high - low) / 15 : max(abs(low), abs(high)) / 7
                    let first = type == .q41 ? low : -8 * scale
                    half(scale)
                    if type == .q41 { half(low) }
                    let nibbles = block.map { UInt8(max(0, min(15, (($0 - first) / scale)))) }
                    for place in 0..<16 { bytes.append(nibbles[place] | nibbles[place + 16] << 4) }
                }
            }
        default: bytes = blocksByChance(values, type)
        }
        return bytes
    }

    /// The other types: blocks by chance that are not these numbers, but as many, as large, and the
    /// same for the same numbers.
    private static func blocksByChance(_ values: [Float], _ type: TensorType) -> [UInt8] {
        let scales: [Int] =
            switch type {
            case .q2K: [80, 82]
            case .q3K: [108]
            case .q6K: [208]
            case .q4K, .q5K, .q51: [0, 2]
            default: [0]
            }
        var random = Random(state: values.reduce(1) { $0 &* 31 &+ UInt64($1.bitPattern) })
        let largest = values.map(abs).max() ?? 0
        return (0..<values.count / type.block.count).flatMap { _ -> [UInt8] in
            var block = (0..<type.block.bytes).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            func setScales(_ scale: Float, _ sign: Float) {
                for (number, place) in scales.enumerated() {
                    // A minimum of Q5_1 is added, those of the K types are taken away.
                    let value = Float16(number == 0 || type != .q51 ? scale : sign * scale * 16)
                    block[place] = UInt8(truncatingIfNeeded: value.bitPattern)
                    block[place + 1] = UInt8(truncatingIfNeeded: value.bitPattern >> 8)
                }
            }
            setScales(1, -1)
            var wide = [Float](repeating: 0, count: type.block.count)
            kernel_expand_row(Int32(type.rawValue), block, wide.count, &wide)
            setScales(largest / (wide.map(abs).max() ?? 1), -1)
            return block
        }
    }
}

/// Numbers by chance, the same in every run.
struct Random {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    /// Between -1 and 1.
    mutating func number() -> Float { Float(next() >> 40) / Float(1 << 23) - 1 }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
}
