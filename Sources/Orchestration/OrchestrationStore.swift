import Core
import GRDB
import Storage

/// `conversations.db`: chats, turns and their logs, and jobs. One for the process; the
/// `Orchestrator` and the `JobStore` share it, so that the file has one writer.
package struct OrchestrationStore: Sendable {
    let store: Store

    /// Throws `unavailable` when the file cannot be opened or was written by a newer Heptad.
    package init(folder: String) throws {
        store = try Store(
            folder: folder, name: "conversations.db", durability: .normal,
            migrations: Migrations.all)
    }

    var pool: DatabasePool { store.pool }

    /// Closes every connection; what comes after throws.
    package func close() throws { try store.close() }
}
