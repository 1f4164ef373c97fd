import ArgumentParser
import Core
import Foundation

/// Options that hold for every command.
struct CommonOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The configuration file. Default: heptad.yaml, where there is one.", valueName: "file"))
    var config: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The folder with all that is kept. Default: $HEPTAD_DATA or ./data.", valueName: "dir"))
    var data: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The folder with local models. Default: $HEPTAD_MODELS or ./models.", valueName: "dir"))
    var models: String?

    var dataPath: String { data ?? Self.environment["HEPTAD_DATA"] ?? "./data" }
    var modelsPath: String { models ?? Self.environment["HEPTAD_MODELS"] ?? "./models" }

    /// The effective settings. Throws `invalid` with a sentence that names the line.
    func settings(_ options: [(path: String, value: String)] = []) throws
        -> Settings<Configuration>
    {
        let path = config ?? "heptad.yaml"
        var yaml: String?
        if config != nil || FileManager.default.fileExists(atPath: path) {
            guard let bytes = FileManager.default.contents(atPath: path) else {
                throw Failure(.notFound, "The configuration file \(path) cannot be read.")
            }
            guard let text = String(bytes: bytes, encoding: .utf8) else {
                throw Failure(.invalid, "The configuration file \(path) is not UTF-8 text.")
            }
            yaml = text
        }
        let reader = SettingsReader(environment: Self.environment, fileName: path)
        let settings = try reader.read(Configuration.self, yaml: yaml, options: options)
        try settings.root.validate()
        return settings
    }

    private static let environment = ProcessInfo.processInfo.environment
}
