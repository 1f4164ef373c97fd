import ArgumentParser

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check or show the configuration.",
        subcommands: [Check.self, Show.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check the configuration file; exit 1 and name the line if it is wrong.")

        @OptionGroup var common: CommonOptions

        func run() throws {
            let settings = try common.settings()
            let changed = settings.origins.count
            Terminal.say(
                changed == 0
                    ? "The configuration is good: everything is at its default."
                    : "The configuration is good: \(changed) settings differ from their defaults.")
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the effective settings, and where each came from. Secrets are hidden.")

        @OptionGroup var common: CommonOptions

        func run() throws {
            let settings = try common.settings()
            Terminal.stream(
                SettingsText(
                    schema: settings.schema, tree: settings.tree, origins: settings.origins
                ).text)
        }
    }
}
