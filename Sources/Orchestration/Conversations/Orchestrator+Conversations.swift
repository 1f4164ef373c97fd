package import Core

extension Orchestrator: Conversations {
    package func chats(for principal: Principal, before: Timestamp?, limit: Int) async throws
        -> [ChatSummary]
    {
        try await store.chats(of: principal, before: before, limit: limit)
    }

    package func createChat(titled title: String, for principal: Principal) async throws
        -> ChatSummary
    {
        try await store.createChat(
            environment.identifier(), titled: title, at: environment.now(), for: principal)
    }

    package func setPassages(
        _ max: Int?, in chat: Identifier, for principal: Principal
    ) async throws {
        if let max, !(1...TurnShape.passagesLimit).contains(max) {
            throw Failure(
                .invalid, "An answer is given 1 to \(TurnShape.passagesLimit) passages.")
        }
        try await store.setPassages(max, in: chat, for: principal)
    }

    package func setCollections(
        _ collections: [Identifier]?, in chat: Identifier, for principal: Principal
    ) async throws {
        guard collections?.count ?? 0 <= Self.collectionsMax else {
            throw Failure(
                .invalid, "A chat looks in at most \(Self.collectionsMax) chosen collections.")
        }
        try await store.setCollections(collections, in: chat, for: principal)
    }

    private static let collectionsMax = 100

    package func entries(in chat: Identifier, for principal: Principal) async throws
        -> (ChatSummary, [ChatEntry])
    {
        // Looked up first: a turn that ends during the read is then complete in the rows.
        let running = turns.turn(in: chat)
        let (summary, entries) = try await store.entries(in: chat, for: principal)
        guard let running else { return (summary, entries) }
        return (summary, entries.map { $0.isWritten(by: running) ? $0.with(running.text) : $0 })
    }

    /// Stops the answer that is being written in it, if any, and takes the chat away.
    package func removeChat(_ id: Identifier, for principal: Principal) async throws {
        try await store.removeChat(id, for: principal)
        turns.stop(chat: id)
    }
}

extension ChatEntry {
    fileprivate func isWritten(by turn: LiveTurn) -> Bool {
        turnState == .running && turnID == turn.id
    }

    fileprivate func with(_ text: String) -> ChatEntry {
        ChatEntry(
            id: id, role: role, text: text, createdAt: createdAt, turnID: turnID,
            turnState: turnState, outcome: outcome)
    }
}
