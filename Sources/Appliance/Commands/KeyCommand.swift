import ArgumentParser
import Core
import Gateway

struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Create, list and revoke API keys.",
        discussion: "Works beside a running server, which notices at once.",
        subcommands: [Create.self, List.self, Revoke.self])

    struct Whose: ParsableArguments {
        @OptionGroup var common: CommonOptions

        @Option(name: .long, help: "The user the keys belong to. Default: the owner.")
        var user: String?

        func open() async throws -> (IdentityStore, Principal) {
            let identity = try IdentityStore(folder: common.dataPath, environment: .system)
            guard let user else { return (identity, try await identity.owner()) }
            return (identity, try await identity.principal(named: user))
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Create a key and print it, this once.")

        @OptionGroup var whose: Whose

        @Argument(help: "What the key is for, in a few words.")
        var name: String

        @Option(name: .long, help: "Limit the key to this collection; may be repeated.")
        var collection: [String] = []

        func run() async throws {
            let (identity, principal) = try await whose.open()
            var ids: [Identifier]?
            if !collection.isEmpty {
                let names = collection
                ids = try await ServerConnection.open(whose.common, as: principal.name) { server in
                    try await server.collectionIDs(named: names)
                }
            }
            let key = try await identity.createKey(
                name: name, collectionIDs: ids, for: principal)
            Terminal.say(key.key)
            Terminal.note("Keep it now: only a hash of it is stored.")
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List the keys, without their secrets.")

        @OptionGroup var whose: Whose

        func run() async throws {
            let (identity, principal) = try await whose.open()
            for key in try await identity.keys(for: principal) {
                let used = key.lastUsedAt.map { "last used \($0)" } ?? "never used"
                Terminal.say("\(key.id)  \(key.prefix)…  \(Terminal.harmless(key.name))  \(used)")
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke", abstract: "Revoke a key; it stops working at once.")

        @OptionGroup var whose: Whose

        @Argument(help: "The key's identifier, as `key list` prints it.")
        var id: String

        func run() async throws {
            let (identity, principal) = try await whose.open()
            guard let id = Identifier(id) else {
                throw Failure(
                    .invalid, "\(id) is not the identifier of a key; see `heptad key list`.")
            }
            try await identity.revokeKey(id, for: principal)
            Terminal.say("The key is revoked.")
        }
    }
}
