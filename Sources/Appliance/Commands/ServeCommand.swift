import ArgumentParser
import CMemory
import Core
import Foundation
import Gateway
import Inference
import Observability

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Start the server.",
        discussion: "Prints the address, and until the owner's account is set up a one-time link.")

    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "The address to listen on. Default: 127.0.0.1, this machine only.")
    var host: String?

    @Option(name: .long, help: "The port to listen on; 0 takes a free one. Default: 8080.")
    var port: UInt16?

    func run() async throws {
        var options: [(path: String, value: String)] = []
        if let host { options.append(("gateway.host", host)) }
        if let port { options.append(("gateway.port", String(port))) }
        let settings = try common.settings(options)
        let configuration = settings.root

        let folder = try DataFolder(path: common.dataPath)
        guard try await acquire(folder) else {
            let address = folder.server().map { " at \($0.address)" } ?? ""
            throw Failure(
                .conflict,
                "Another Heptad\(address) serves \(folder.path). Stop it, or choose another --data."
            )
        }
        defer { folder.release() }
        let telemetry = try Telemetry.install(
            configuration.observability, folder: folder.path, environment: .system)
        let running = RunningAppliance(
            configuration, folder: folder, models: common.modelsPath, telemetry: telemetry)
        let reloader = SettingsReloader(
            startedWith: settings, telemetry: telemetry,
            read: { [common, options] in try common.settings(options) })
        try await running.serve(beside: [reloader]) { appliance, address in
            let setupToken = try await appliance.identity.newSetupToken()
            Banner(
                data: folder.path, models: appliance.router.inventory.lines, address: address,
                setupToken: setupToken
            ).show()
            cmemory_release_start()
        }
    }

    /// A command beside us holds the folder for a moment to see whether anyone serves it.
    private func acquire(_ folder: DataFolder) async throws -> Bool {
        for _ in 0..<Self.acquisitionsMax {
            if try folder.acquire() { return true }
            try await Task.sleep(for: .milliseconds(50))
        }
        return false
    }

    private static let acquisitionsMax = 10
}

/// What a newcomer sees first.
struct Banner {
    let data: String
    /// A line for each model that was found, or a sentence that says how to get one.
    let models: [String]
    let address: String
    /// Nil once the owner's account has a password.
    let setupToken: String?

    func show() {
        let place = URL(fileURLWithPath: data).standardizedFileURL.path
        Terminal.say("Heptad \(HeptadVersion.current)\n")
        Terminal.say("  data     \(place)")
        for (index, model) in models.enumerated() {
            Terminal.say("  \(index == 0 ? "models " : "       ")  \(model)")
        }
        Terminal.say("  address  \(address)")
        if let setupToken {
            Terminal.say("\nOpen once to set up the owner's account (30 minutes):")
            Terminal.say("  \(address)/#/setup/\(setupToken)")
        }
        Terminal.say()
    }
}
