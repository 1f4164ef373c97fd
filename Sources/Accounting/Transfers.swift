import Core
import GRDB
import Storage

/// What a call is for, as its transfers say it.
struct CallDetails: Sendable {
    let userID: Identifier
    let keyID: Identifier?
    let model: String
    let purpose: String
    let conversationID: Identifier?
    let traceID: String?
}

/// What a finished call took.
struct Settlement: Sendable {
    let candidate: String
    let usage: TokenUsage
    let cost: Picodollars
    /// `Price.asOf`.
    let priceAsOf: String
    /// What the call cost beyond its hold; of several settlements the first carries it.
    var overrun = Picodollars.zero
    let id: Identifier
    let bookedAt: Timestamp
    /// Of `bookedAt`.
    let month: String
}

/// Writes what calls took, inside one transaction.
struct Transfers {
    let books: Books

    init(_ books: Books) { self.books = books }

    func settle(_ call: CallDetails, _ settlement: Settlement) throws {
        let usage = settlement.usage
        try books.add(to: .transfers) { row in
            row.add(settlement.id.description)
            row.add(call.userID.description)
            row.add(call.keyID?.description)
            row.add(call.model)
            row.add(settlement.candidate)
            row.add(call.purpose)
            row.add(call.conversationID?.description)
            row.add(call.traceID)
            row.add(settlement.cost.rawValue)
            row.add(settlement.overrun.rawValue)
            row.add(usage.freshInput)
            row.add(usage.cacheRead)
            row.add(usage.cacheWrite)
            row.add(usage.output)
            row.add(usage.reasoning)
            row.add(usage.isEstimated)
            row.add(settlement.priceAsOf)
            row.add(settlement.bookedAt.microseconds)
        }
        let provider = settlement.candidate.prefix { $0 != "/" }
        try books.move(
            .init(
                picodollars: settlement.cost, calls: 1, inputTokens: usage.input,
                outputTokens: usage.output),
            debit: .spent(
                user: call.userID, month: settlement.month,
                candidate: settlement.candidate),
            credit: .payable(provider: String(provider)), transfer: settlement.id)
    }

    static let insertSQL = """
        INSERT INTO transfers (id, kind, user_id, key_id, model, candidate, purpose,
            conversation_id, trace_id, picodollars, overrun_picodollars, fresh_input_tokens,
            cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, is_estimated,
            price_as_of, created_at)
        VALUES (?, 'settle', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """
}

extension Timestamp {
    /// `2026-11`, in UTC.
    var month: String { String(description.prefix(7)) }
}
