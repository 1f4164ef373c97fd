/// A chat as its owner sees it in a list.
package struct ChatSummary: Hashable, Codable, Sendable {
    package let id: Identifier
    package let title: String
    package let createdAt: Timestamp
    package let updatedAt: Timestamp
    /// How many passages its answers are given, where that was chosen for it.
    package var passagesMax: Int?
    /// The collections that its questions look in, where that was chosen for it.
    package var collectionIDs: [Identifier]?

    package init(id: Identifier, title: String, createdAt: Timestamp, updatedAt: Timestamp) {
        (self.id, self.title, self.createdAt, self.updatedAt) = (id, title, createdAt, updatedAt)
    }
}

/// One message of a chat, as it is kept.
package struct ChatEntry: Hashable, Codable, Sendable {
    package let id: Identifier
    package let role: ChatMessage.Role
    package let text: String
    package let createdAt: Timestamp
    /// The turn that wrote it, for an answer; also while it is still being written.
    package let turnID: Identifier?
    package let turnState: TurnState?
    /// Nil for a question, and until the answer is complete.
    package var outcome: TurnOutcome?

    package init(
        id: Identifier, role: ChatMessage.Role, text: String, createdAt: Timestamp,
        turnID: Identifier? = nil, turnState: TurnState? = nil, outcome: TurnOutcome? = nil
    ) {
        (self.id, self.role, self.text, self.createdAt) = (id, role, text, createdAt)
        (self.turnID, self.turnState, self.outcome) = (turnID, turnState, outcome)
    }
}

/// Where a turn stands. `interrupted` is one that was running when the process died.
package enum TurnState: String, Codable, Sendable {
    case running, completed, cancelled, failed, interrupted
}

/// A question that begins a turn.
package struct TurnRequest: Codable, Sendable {
    package let principal: Principal
    package let chatID: Identifier
    package let question: String
    /// Nil means the configured default.
    package let model: String?
    /// Nil means those of the chat, or all of the principal's where it has none; empty means none is
    /// searched.
    package let collectionIDs: [Identifier]?
    package let sampling: SamplingOptions

    package init(
        principal: Principal, chatID: Identifier, question: String, model: String?,
        collectionIDs: [Identifier]?, sampling: SamplingOptions = SamplingOptions()
    ) {
        (self.principal, self.chatID, self.question) = (principal, chatID, question)
        (self.model, self.collectionIDs, self.sampling) = (model, collectionIDs, sampling)
    }
}

/// A turn that has begun: the gateway may still answer with its identifiers.
package struct TurnStarted: Hashable, Codable, Sendable {
    package let turnID: Identifier
    package let questionID: Identifier
    package let answerID: Identifier

    package init(turnID: Identifier, questionID: Identifier, answerID: Identifier) {
        (self.turnID, self.questionID, self.answerID) = (turnID, questionID, answerID)
    }
}

/// One line of a turn's log. Numbers start at 1 and have no gaps.
package struct TurnEvent: Hashable, Codable, Sendable {
    package let number: Int
    package let kind: TurnEventKind

    package init(number: Int, kind: TurnEventKind) {
        (self.number, self.kind) = (number, kind)
    }
}

package enum TurnEventKind: Hashable, Codable, Sendable {
    /// What was found for the question, numbered as the answer cites it: the first is `[1]`. A later
    /// one has those before it and more.
    case passages([Passage])
    /// The next piece of the answer.
    case text(String)
    /// Something the reader should know, in a sentence: what was left out, what was fallen back to.
    case notice(String)
    /// How far documents are read that the question needs in full.
    case progress(JobProgress)
    /// The last event of every turn.
    case ended(TurnOutcome)
}

/// How a turn ended. `text` is the whole answer as it is kept, with its citation marks: it replaces
/// what was streamed.
package struct TurnOutcome: Hashable, Codable, Sendable {
    package let state: TurnState
    package let text: String
    package var citations: [Citation]
    /// What bears out each sentence that says something, in the order of the text; nil where nobody
    /// looked: in a turn that was stopped, and in those of older versions.
    package let verdicts: [SentenceVerdict]?
    /// What was looked for; nil where nothing was.
    package let search: SearchReport?
    /// The sentences of all `notice` events.
    package let notices: [String]
    /// Nil where no model was called, or it failed before it used anything.
    package let completion: Completion?
    /// The sentence for the user when `state` is `failed`.
    package let failure: String?
    /// W3C trace id, 32 hexadecimal digits.
    package let traceID: String?
    package let totalMilliseconds: Double

    package init(
        state: TurnState, text: String, citations: [Citation], verdicts: [SentenceVerdict]? = nil,
        search: SearchReport? = nil, notices: [String], completion: Completion?,
        failure: String?, traceID: String?, totalMilliseconds: Double
    ) {
        (self.state, self.text, self.citations, self.notices) = (state, text, citations, notices)
        (self.verdicts, self.search) = (verdicts, search)
        (self.completion, self.failure, self.traceID) = (completion, failure, traceID)
        self.totalMilliseconds = totalMilliseconds
    }
}

/// What a mark such as `[1]` in an answer stands for.
package struct Citation: Hashable, Codable, Sendable {
    package enum Origin: String, Codable, Sendable {
        /// The model wrote the mark.
        case model
        /// The server found the passage that supports the sentence.
        case attributed
        /// The answer is the passage itself.
        case quoted
        /// There is no answer; this is what came closest.
        case closest
    }

    package let number: Int
    package var passage: Passage
    package let origin: Origin

    package init(number: Int, passage: Passage, origin: Origin) {
        (self.number, self.passage, self.origin) = (number, passage, origin)
    }
}
