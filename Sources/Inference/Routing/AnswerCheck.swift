import Core
import Foundation
import OrderedJSON

/// Whether a cheaper candidate's answer will do, or a better one has to be asked. Looks only at what
/// can be told from the answer itself.
struct AnswerCheck: Sendable {
    enum Complaint: String, Sendable { case refusal, structure, confidence, empty }

    let request: ChatRequest
    let confidenceMin: Double

    // An answer that goes on after the words of a refusal is more than a refusal.
    private static let refusalBytesMax = 600

    /// What is wrong with it; nil when it will do.
    func complaint(
        _ answer: AnswerSoFar, _ reason: Completion.FinishReason
    ) -> Complaint? {
        if reason == .contentFilter { return .refusal }
        let calls = answer.toolCalls
        if calls.isEmpty, answer.text.allSatisfy(\.isWhitespace) { return .empty }
        if calls.isEmpty, Self.refuses(answer.text) { return .refusal }
        if !hasItsForm(answer.text, calls) { return .structure }
        guard confidenceMin > 0, answer.logprobCount > 0 else { return nil }
        let mean = exp(answer.logprobSum / Double(answer.logprobCount))
        return mean < confidenceMin ? .confidence : nil
    }

    private func hasItsForm(_ text: String, _ calls: [ToolCall]) -> Bool {
        for call in calls {
            guard request.tools.contains(where: { $0.name == call.name }),
                call.arguments.isEmpty || (try? JSONValue(parsing: call.arguments.utf8)) != nil
            else { return false }
        }
        switch request.toolChoice {
        case .required where calls.isEmpty: return false
        case .named(let name) where !calls.contains { $0.name == name }: return false
        default: break
        }
        guard calls.isEmpty else { return true }
        switch request.responseFormat {
        case .text: return true
        case .jsonObject: return (try? JSONValue(parsing: text.utf8))?.members != nil
        case .jsonSchema(_, let schema, _):
            guard let value = try? JSONValue(parsing: text.utf8) else { return false }
            let required = (schema["required"]?.array ?? []).compactMap(\.string)
            return required.allSatisfy { value[$0] != nil }
        }
    }

    static func refuses(_ text: String) -> Bool {
        guard text.utf8.count <= refusalBytesMax else { return false }
        // Nearly all answers begin with another letter, and are done.
        guard let first = text.unicodeScalars.first(where: \.properties.isAlphabetic),
            initials.contains(first)
        else { return false }
        let start = text.prefix(120).lowercased().replacing("\u{2019}", with: "'")
            .drop { !$0.isLetter }
        return openings.contains { start.hasPrefix($0) }
    }

    private static let initials = Set(
        openings.compactMap(\.unicodeScalars.first).flatMap { scalar in
            "\(scalar)\(scalar.properties.uppercaseMapping)".unicodeScalars
        })
    private static let openings: [String] = [
        "i can't", "i cannot", "i'm sorry, but i", "i am sorry, but i", "sorry, but i", "sorry, i",
        "i'm unable", "i am unable", "i'm not able", "i am not able", "i won't", "i don't know",
        "i do not know", "as an ai", "i must decline", "ich kann nicht", "ich kann dir dabei nicht",
        "ich kann ihnen dabei nicht", "es tut mir leid, aber", "je ne peux pas", "lo siento, pero",
    ]
}
