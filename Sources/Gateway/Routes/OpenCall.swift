import Core
import HTTPTypes
import Synchronization

/// A call that is given up when nobody runs it: a client may be gone before its answer begins, and
/// then Hummingbird drops the response without a word.
final class OpenCall: Sendable {
    let cache: CacheUse?
    let cached: CachedAnswer?
    /// Who answers and why; nil where a header cannot carry it.
    let decision: String?
    /// What was left out of the prompt.
    let context: String?
    private let call: Mutex<ChatCall?>

    // Proxies cut or refuse what is much longer.
    private static let decisionBytesMax = 500
    private static let questionBytesMax = 600

    init(_ call: ChatCall) {
        cache = call.cache
        cached = call.cached
        context = call.context
        // Names of models are the operator's, and may have letters that a header may not.
        let bytes = call.decision.utf8.count
        let isSafe =
            bytes <= Self.decisionBytesMax
            && call.decision.utf8.allSatisfy { (32..<127).contains($0) }
        let text = isSafe ? call.decision : Self.safe(call.decision)
        decision = text.isEmpty ? nil : text
        self.call = Mutex(call)
    }

    private static func safe(_ text: String) -> String {
        let safe = text.unicodeScalars.map { (32..<127).contains($0.value) ? $0 : "?" }
        return String(String.UnicodeScalarView(safe.prefix(decisionBytesMax)))
    }

    deinit {
        guard let call = take() else { return }
        // Under nobody, since nobody is left: it gives reserved money back and ends.
        Task { await call.abandon() }
    }

    /// Says in a response who answers, what a cache had of it, and what was left out of the prompt.
    func describe(in headers: inout HTTPFields) {
        headers[.cacheUse] = cache?.rawValue
        headers[.route] = decision
        headers[.context] = context
        guard let cached else { return }
        if let saved = cached.saved { headers[.callSaved] = "\(saved.rawValue)" }
        headers[.cacheQuestion] = cached.question.map {
            PercentEncoding.encode($0, bytesMax: Self.questionBytesMax)
        }
        headers[.cacheSimilarity] = cached.similarity.map { "\(($0 * 1000).rounded() / 1000)" }
    }

    func run(_ emit: (ChatEvent) async throws -> Void) async throws -> Completion {
        guard let call = take() else {
            throw Failure(.internalError, "The answer was begun twice.")
        }
        return try await call.run(emit)
    }

    private func take() -> ChatCall? {
        call.withLock { held in
            defer { held = nil }
            return held
        }
    }
}

extension ChatModel {
    /// The name that was asked for, or the default.
    func name(asked: String?) async throws -> String {
        if let asked, !asked.isEmpty { return asked }
        guard let name = await models().first?.name else {
            throw Failure(.unavailable, "No model is configured.")
        }
        return name
    }
}
