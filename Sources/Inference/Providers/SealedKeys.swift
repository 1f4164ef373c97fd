import Core
import Foundation
import Logging
import Storage
import Synchronization

/// The keys of providers that administrators set: `provider-keys.json` of the data folder, each key
/// sealed on its own and for its provider, so that a line that is moved to another does not open.
final class SealedKeys: Sendable {
    /// What may be told of a key.
    struct Note: Codable, Hashable, Sendable {
        let id: Identifier
        let provider: String
        /// The key's last characters; empty for a short one.
        let hint: String
        let setAt: Timestamp
        let setBy: String
    }

    private struct Entry: Codable {
        let note: Note
        let sealed: String

        var context: String { "provider-key \(note.provider) \(note.id)" }
    }

    private struct Page: Codable {
        var keys: [Entry]
    }

    private struct State {
        var entries: [Entry] = []
        /// Why the file is not used.
        var problem: String?
    }

    private let path: String
    private let box: SecretBox
    private let environment: Environment
    private let state: Mutex<State>
    /// Held while keys are handed out, so that none older come after newer ones.
    private let handing = Mutex(())
    private let logger = Logger(label: "heptad.inference")

    static let keysMax = 16
    private static let keyBytes = 8...4096
    private static let fileBytesMax = 16 << 20

    /// A file that cannot be read is no error here: `problem` says so, and nothing is written.
    init(folder: String, box: SecretBox, environment: Environment) {
        path = folder + "/provider-keys.json"
        self.box = box
        self.environment = environment
        state = Mutex(Self.read(path))
        if let problem { logger.error("\(problem)") }
    }

    var problem: String? { state.withLock { $0.problem } }

    func notes(of provider: String) -> [Note] {
        state.withLock { state in
            state.entries.map(\.note).filter { $0.provider == provider }
        }
    }

    /// Sets what a provider's calls use from now on.
    func hand(to keys: ProviderKeys?, of provider: String) {
        guard let keys else { return }
        handing.withLock { _ in use(provider, keys) }
    }

    private func use(_ provider: String, _ keys: ProviderKeys) {
        let entries = state.withLock { $0.entries.filter { $0.note.provider == provider } }
        var opened: [ProviderKeys.Opened] = []
        var problem: Failure?
        for entry in entries {
            do {
                let key = try box.open(entry.sealed, context: entry.context)
                opened.append(ProviderKeys.Opened(id: entry.note.id, key: key))
            } catch {
                let failure = Failure(error)
                problem = Failure(
                    .unavailable,
                    "The key of the provider \(provider) that an administrator set cannot be opened."
                        + " \(failure.message)", cause: failure.cause)
                logger.error(
                    "a sealed key cannot be opened",
                    metadata: [
                        "provider": "\(provider)", "key": "\(entry.note.id)",
                        "failure": "\(failure)",
                    ])
            }
        }
        keys.use(opened, problem: opened.isEmpty ? problem : nil)
    }

    /// Throws `invalid` for what is no key, `notFound` where none is to be replaced, `conflict` for
    /// too many.
    func set(
        _ key: String, replacing id: Identifier?, of provider: String, by principal: Principal
    ) throws -> Note {
        let key = try Self.checked(key)
        return try change { entries in
            let place = id.flatMap { id in
                entries.firstIndex { $0.note.id == id && $0.note.provider == provider }
            }
            if id != nil, place == nil { throw Self.missing }
            guard
                place != nil
                    || entries.count(where: { $0.note.provider == provider })
                        < Self.keysMax
            else {
                throw Failure(.conflict, "A provider has at most \(Self.keysMax) keys.")
            }
            let note = Note(
                id: id ?? environment.identifier(), provider: provider, hint: Self.hint(of: key),
                setAt: environment.now(), setBy: principal.name)
            let context = Entry(note: note, sealed: "").context
            let entry = Entry(note: note, sealed: try box.seal(key, context: context))
            if let place { entries[place] = entry } else { entries.append(entry) }
            return note
        }
    }

    func remove(_ id: Identifier, of provider: String) throws -> Note {
        try change { entries in
            guard
                let place = entries.firstIndex(where: {
                    $0.note.id == id && $0.note.provider == provider
                })
            else { throw Self.missing }
            return entries.remove(at: place).note
        }
    }

    /// Enough to tell keys apart, and nothing of one that is short enough to be guessed.
    static func hint(of key: String) -> String {
        key.utf8.count >= 16 ? String(key.suffix(4)) : ""
    }

    private static let missing = Failure(.notFound, "There is no such key.")

    private static func checked(_ text: String) throws -> String {
        let key = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard keyBytes.contains(key.utf8.count), key.utf8.allSatisfy({ (33...126).contains($0) })
        else {
            throw Failure(
                .invalid,
                "A key has \(keyBytes.lowerBound) to \(keyBytes.upperBound) characters without"
                    + " spaces. Copy it again from the provider.")
        }
        return key
    }

    /// Writes the file before anything is in force.
    private func change<Value: Sendable>(_ change: (inout [Entry]) throws -> Value) throws -> Value
    {
        try state.withLock { state in
            if let problem = state.problem { throw Failure(.unavailable, problem) }
            var entries = state.entries
            let value = try change(&entries)
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            try PrivateFile.write(Array(try encoder.encode(Page(keys: entries))), to: path)
            state.entries = entries
            return value
        }
    }

    private static func read(_ path: String) -> State {
        guard FileManager.default.fileExists(atPath: path) else { return State() }
        let url = URL(fileURLWithPath: path)
        guard let data = try? Data(contentsOf: url), data.count <= fileBytesMax,
            let page = try? JSONDecoder().decode(Page.self, from: data)
        else {
            return State(
                problem:
                    "\(path) cannot be read, so keys that were set on the page are not used. Bring it"
                    + " back from a backup, or remove it and set them again.")
        }
        return State(entries: page.keys)
    }
}
