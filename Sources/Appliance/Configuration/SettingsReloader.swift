import Core
import Logging
import Observability
import ServiceLifecycle
import UnixSignals

/// Reads the settings again when the process gets SIGHUP, takes over what can change while it runs,
/// and says what needs a restart. Settings that are wrong change nothing.
struct SettingsReloader: Service {
    let startedWith: Settings<Configuration>
    let telemetry: Telemetry
    let read: @Sendable () throws -> Settings<Configuration>
    private let logger = Logger(label: "heptad.appliance")

    init(
        startedWith: Settings<Configuration>, telemetry: Telemetry,
        read: @escaping @Sendable () throws -> Settings<Configuration>
    ) {
        self.startedWith = startedWith
        self.telemetry = telemetry
        self.read = read
    }

    func run() async throws {
        var current = startedWith
        let signals = await UnixSignalsSequence(trapping: .sighup)
        for await _ in signals.cancelOnGracefulShutdown() {
            do {
                let next = try read()
                try telemetry.reload(next.root.observability)
                report(Reload(from: current, to: next, since: startedWith))
                current = next
            } catch {
                logger.error("settings not reloaded: \(Failure(error).message)")
            }
        }
    }

    private func report(_ reload: Reload) {
        logger.notice(
            "settings reloaded", metadata: ["changed": "\(reload.applied.joined(separator: " "))"])
        guard !reload.pending.isEmpty else { return }
        logger.warning(
            "some changed settings wait for a restart",
            metadata: ["changed": "\(reload.pending.joined(separator: " "))"])
    }
}

/// What a new reading of the settings changes, by dotted path.
struct Reload: Equatable {
    /// In force now.
    let applied: [String]
    /// Different from what the process was started with, and not in force before a restart.
    let pending: [String]

    init<Root>(from old: Settings<Root>, to new: Settings<Root>, since start: Settings<Root>) {
        applied = Self.differences(old, new).filter(Self.isReloadable)
        pending = Self.differences(start, new).filter { !Self.isReloadable($0) }
    }

    private static func isReloadable(_ path: String) -> Bool {
        path.hasPrefix("observability.")
            && Telemetry.reloadable.contains(String(path.dropFirst("observability.".count)))
    }

    private static func differences<Root>(_ one: Settings<Root>, _ other: Settings<Root>)
        -> [String]
    {
        let one = one.tree.leaves
        let other = other.tree.leaves
        return Set(one.keys).union(other.keys).filter { one[$0] != other[$0] }.sorted()
    }
}

extension Tree {
    /// Every value as text, by dotted path. For comparing only: secrets are in it.
    var leaves: [String: String] {
        guard case .object(let members) = self else { return ["": "\(self)"] }
        return members.reduce(into: [:]) { all, member in
            for (path, text) in member.value.leaves {
                all[path.isEmpty ? member.key : "\(member.key).\(path)"] = text
            }
        }
    }
}
