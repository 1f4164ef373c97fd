package import Core
import Logging
import OrderedJSON
import Tracing

/// What a question is looked up as, after a conversation.
extension Library {
    /// The most that one question is looked up as, itself included.
    static let queriesMax = 4

    package func queries(
        for question: String, after conversation: [ChatMessage], for principal: Principal
    ) async -> [String] {
        guard configuration.queryRewriting != .off, !conversation.isEmpty else { return [question] }
        var queries = FollowUp(question, after: conversation)?.queries ?? [question]
        if configuration.queryRewriting == .model, let model {
            let written = await rewritten(question, after: conversation, by: model, for: principal)
            if let first = written.first {
                queries = (FollowUp.isElliptic(question) ? [first] : [question]) + written
            }
        }
        var seen: Set<String> = []
        return Array(queries.filter { seen.insert($0).inserted }.prefix(Self.queriesMax))
    }

    /// Empty where the model does not answer in time, or not in the form it was asked for.
    private func rewritten(
        _ question: String, after conversation: [ChatMessage], by model: any ChatModel,
        for principal: Principal
    ) async -> [String] {
        let messages = Rewriting.messages(question, after: conversation)
        do {
            let answer = try await withSpan("rewrite", ofKind: .internal) { _ in
                try await Self.limited(to: Rewriting.secondsMax) {
                    var sampling = SamplingOptions()
                    (sampling.temperature, sampling.outputTokensMax) = (0, Rewriting.tokensMax)
                    let call = try await model.open(
                        ChatRequest(
                            principal: principal, model: "", messages: messages,
                            sampling: sampling, purpose: "rewrite"))
                    var text = ""
                    _ = try await call.run { event in
                        if case .text(let piece) = event { text += piece }
                    }
                    return text
                }
            }
            return Rewriting.queries(in: answer)
        } catch {
            log.notice("A question was not rewritten.", metadata: ["why": "\(error)"])
            return []
        }
    }
}

/// How a model is asked to write queries, and how its answer is read.
enum Rewriting {
    static let secondsMax = 4.0
    static let tokensMax = 96
    static let queriesMax = 3
    private static let charactersMax = 200
    private static let messagesMax = 4
    private static let messageCharactersMax = 600

    static func messages(_ question: String, after conversation: [ChatMessage]) -> [ChatMessage] {
        let said = conversation.suffix(messagesMax).map { message in
            "\(message.role == .user ? "User" : "Assistant"): "
                + message.text.prefix(messageCharactersMax)
        }
        return [
            ChatMessage(
                .system,
                "Rewrite the user's last question as up to \(queriesMax) search queries that can be"
                    + " understood without the conversation. One query a line, nothing else."),
            ChatMessage(
                .user, said.joined(separator: "\n") + "\n\nLast question: \(question)\n\nQueries:"),
        ]
    }

    /// The lines of an answer without bullets, numbers and quotation marks.
    static func queries(in answer: String) -> [String] {
        var queries: [String] = []
        for line in answer.split(whereSeparator: \.isNewline) {
            var line = TextHygiene.cleanLine(String(line)).trimmed()[...]
            if let mark = line.prefixMatch(of: /(?:[-*•]|[0-9]{1,2}[.)])\s+/) {
                line = line[mark.range.upperBound...]
            }
            let query = line.trimmingPrefix { "\"“'".contains($0) }
                .prefix(charactersMax + 1)
            let bare = String(query).trimmingSuffix { "\"”'".contains($0) }
            // A long line is no query: the model explains itself.
            guard (1...charactersMax).contains(bare.count),
                bare.contains(where: { $0.isLetter || $0.isNumber }), !queries.contains(bare)
            else { continue }
            queries.append(bare)
            if queries.count == queriesMax { break }
        }
        return queries
    }
}

extension String {
    fileprivate func trimmingSuffix(while isTrimmed: (Character) -> Bool) -> String {
        var text = self
        while let last = text.last, isTrimmed(last) { text.removeLast() }
        return text
    }
}
