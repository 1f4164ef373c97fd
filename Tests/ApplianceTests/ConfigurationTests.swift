import Core
import Testing

@testable import Appliance

private struct Sample: Section, Equatable {
    var server = Server()
    var providers: [String: Provider] = [:]

    struct Server: Section, Equatable {
        var host = "127.0.0.1"
        var bodyBytesMax = 1000
        var isSecure = false
        var ratio = 0.5
        var allowedHosts: [String] = ["a"]
    }

    enum Policy: String, Codable { case ask, refuse }

    struct Provider: Section, Equatable {
        var kind = "local"
        var apiKey = ""
        var policy = Policy.ask
    }
}

@Suite struct SettingsReaderTests {
    private let reader = SettingsReader(
        environment: ["KEY": "s3cret", "HEPTAD_SERVER_BODY_BYTES_MAX": "77"],
        readFile: { path in
            guard path == "/run/secret" else { throw Failure(.notFound, "No file.") }
            return "from file\n"
        })

    @Test("With no file everything is a default")
    func empty() throws {
        let settings = try SettingsReader().read(Sample.self, yaml: nil)
        #expect(settings.root == Sample())
        #expect(try SettingsReader().read(Sample.self, yaml: "# nothing\n").root == Sample())
    }

    @Test("File, environment and options come in that order")
    func precedence() throws {
        let yaml = """
            server:
              host: 0.0.0.0
              body_bytes_max: 5
              allowed_hosts: [b, c]
            providers:
              far:
                kind: openai
                policy: refuse
                api_key: ${KEY}!
              near:
                api_key: file:/run/secret
            """
        let settings = try reader.read(
            Sample.self, yaml: yaml, options: [("server.host", "::1")])

        var expected = Sample()
        expected.server = .init(host: "::1", bodyBytesMax: 77, allowedHosts: ["b", "c"])
        expected.providers = [
            "far": .init(kind: "openai", apiKey: "s3cret!", policy: .refuse),
            "near": .init(apiKey: "from file"),
        ]
        #expect(settings.root == expected)
        #expect(settings.origins["server.allowed_hosts"] == .file(line: 4))
        let text = SettingsText(
            schema: settings.schema, tree: settings.tree, origins: settings.origins
        ).text
        #expect(text.contains("body_bytes_max: 77  # HEPTAD_SERVER_BODY_BYTES_MAX"))
        #expect(text.contains("host: \"::1\"  # command line"))
        #expect(!text.contains("s3cret") && !text.contains("from file"))
    }

    @Test(
        "What is wrong is named by line, with the nearest key",
        arguments: [
            (
                "server:\n  hots: x",
                "line 2: there is no setting `server.hots`. Did you mean `host`?"
            ),
            ("sever: 1", "line 1: there is no setting `sever`. Did you mean `server`?"),
            ("zzzzzzzz: 1", "line 1: there is no setting `zzzzzzzz`."),
            ("server: 1", "line 1: `server` must be a group of settings."),
            ("server:\n  body_bytes_max: many", "`server.body_bytes_max` must be a whole number"),
            ("server:\n  is_secure: maybe", "must be true or false"),
            ("server:\n  ratio: .nan", "must be a number"),
            ("server:\n  allowed_hosts: x", "must be a list of texts"),
            ("server:\n  host: [x]", "must be text"),
            ("server:\n  host: ${NOPE}", "the environment has no variable NOPE"),
            ("server:\n  host: ${NOPE", "has no `}`"),
            ("server:\n  host: file:/nope", "the file /nope cannot be read"),
            ("providers:\n  x:\n    knd: y", "line 3: there is no setting `providers.x.knd`."),
            ("server:\n  host: a\n  host: b", "`host` is there twice, in the group at line 2."),
            ("providers:\n  x:\n    policy: maybe", "`providers.x.policy` has a value"),
            ("server: {", "not valid YAML"),
            ("- 1", "The file must be a group of settings"),
        ])
    func refused(yaml: String, sentence: String) {
        #expect {
            try reader.read(Sample.self, yaml: yaml)
        } throws: { error in
            guard let failure = error as? Failure else { return false }
            return failure.code == .invalid && failure.message.contains(sentence)
        }
    }

    @Test("Text of any kind is read or refused, never a trap")
    func noise() {
        var state: UInt64 = 42
        for _ in 0..<300 {
            let letters = Array("server:host {}[]-\n \"'&*!|>%@`#,?\t\u{0}é12")
            let yaml = String(
                (0..<40).map { _ in
                    state = state &* 6_364_136_223_846_793_005 &+ 1
                    return letters[Int(state >> 33) % letters.count]
                })
            _ = try? reader.read(Sample.self, yaml: yaml)
        }
        let deep = String(repeating: "[", count: 5000)
        #expect(throws: Failure.self) { try reader.read(Sample.self, yaml: deep) }
    }
}
