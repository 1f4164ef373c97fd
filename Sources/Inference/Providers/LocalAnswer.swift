import Core
import LocalModels

/// What a local model's pieces are to those who asked: text, calls of tools, log probabilities.
struct LocalAnswer {
    private let bytes: @Sendable (Int32) -> [UInt8]
    private var calls: ToolCallReader?

    init(_ engine: LocalEngine, _ output: OutputRules?, random: @escaping @Sendable () -> UInt64) {
        bytes = engine.bytes
        calls = output?.syntax.map { syntax in
            ToolCallReader(syntax) {
                "call_" + (0..<2).map { _ in Self.hex(random()) }.joined().prefix(24)
            }
        }
    }

    mutating func events(of piece: GenerationPiece) -> [ChatEvent] {
        let tokens = piece.tokens.compactMap { logprob($0) }
        let told: [ChatEvent] = tokens.isEmpty ? [] : [.logprobs(tokens)]
        guard !piece.text.isEmpty else { return told }
        return told + (calls?.receive(piece.text) ?? [.text(piece.text)])
    }

    mutating func finish() -> [ChatEvent] { calls?.finish() ?? [] }

    /// A call that was cut is as short as a text that was.
    func finishReason(_ reason: Completion.FinishReason) -> Completion.FinishReason {
        guard let calls, calls.callCount > 0, calls.isWhole, reason == .stop else { return reason }
        return .toolCalls
    }

    private func logprob(_ token: GeneratedToken) -> TokenLogprob? {
        guard let logprob = token.logprob else { return nil }
        let bytes = bytes(token.id)
        return TokenLogprob(
            token: String(decoding: bytes, as: UTF8.self), bytes: bytes, logprob: logprob,
            top: token.top.compactMap { self.logprob($0) })
    }

    private static func hex(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
