/// Does `work` to its end even where the current task is cancelled: GRDB gives a write up when its
/// task is, and what a cancelled turn has written so far must be kept all the same.
func shielded<Value: Sendable>(
    _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    // Not a child task on purpose, since a child is cancelled with its parent. It is awaited here,
    // so it lives no longer than a child would.
    try await Task { try await work() }.value
}
