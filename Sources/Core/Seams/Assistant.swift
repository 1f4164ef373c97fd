/// Answers questions in chats. Made by Orchestration. A turn outlives the connection that began it.
package protocol Assistant: Sendable {
    /// Saves the question, finds passages, opens the model, and starts the answer. What it throws
    /// can still be an HTTP status, and then nothing was saved.
    func begin(_ request: TurnRequest) async throws -> TurnStarted

    /// Every event of the turn after `number`, from the log and then as they come; returns after
    /// `ended`. Throws `notFound` for another's turn. Cancelling this does not stop the answer.
    func follow(
        turn: Identifier, after number: Int, for principal: Principal,
        _ emit: (TurnEvent) async throws -> Void
    ) async throws

    /// Stops the answer; what was written so far is kept. Does nothing when it has ended.
    func cancel(turn: Identifier, for principal: Principal) async throws

    /// Searches as an answer would and says of each passage why the model is given it or not. Throws
    /// `notFound` for another's turn, document or collection.
    func explain(_ request: ExplanationRequest) async throws -> AnswerExplanation
}

/// The chats a principal has. Another's identifiers answer `notFound`.
package protocol Conversations: Sendable {
    /// Last used first, older than `before` where that is given.
    func chats(for principal: Principal, before: Timestamp?, limit: Int) async throws
        -> [ChatSummary]
    func createChat(titled title: String, for principal: Principal) async throws -> ChatSummary
    /// Sets how many passages answers in it are given; nil for as many as are configured.
    func setPassages(_ max: Int?, in chat: Identifier, for principal: Principal) async throws
    /// Sets which collections questions in it look in that name none; nil for all, none for none.
    func setCollections(
        _ collections: [Identifier]?, in chat: Identifier, for principal: Principal) async throws
    /// The messages, oldest first. An answer that is being written has the text so far.
    func entries(in chat: Identifier, for principal: Principal) async throws
        -> (ChatSummary, [ChatEntry])
    func removeChat(_ id: Identifier, for principal: Principal) async throws
}
