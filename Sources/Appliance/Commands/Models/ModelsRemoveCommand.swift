import ArgumentParser
import Core
import Egress
import Foundation
import Inference

struct ModelsRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Delete a model from the models folder.",
        discussion: """
            Safe while a server runs: it keeps the file it has opened, and its space, until it is \
            started again.

            heptad models remove SmolLM2-135M-Instruct.Q4_1
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "The model's name, as `heptad models list` shows it.")
    var model: String

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    func run() async throws {
        let library = common.library
        let entry = try library.removable(model)
        let name = Terminal.harmless(entry.name)
        if !yes {
            guard Terminal.isInteractive else {
                throw Failure(
                    .invalid, "To remove \(name) without being asked, say --yes.")
            }
            guard Terminal.confirm("Remove \(name), \(ByteCount(entry.bytes))? [y/N] ") else {
                return Terminal.note("\(name) stays.")
            }
        }
        try library.remove(model)
        Terminal.say(
            "\(name) is removed; \(ByteCount(entry.bytes)) are free. A server that runs has it until it"
                + " is started again.")
    }
}
