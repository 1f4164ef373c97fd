import ArgumentParser
import Core
import Gateway

struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "Add users and reset passwords.",
        discussion: "Works beside a running server, which notices at once.",
        subcommands: [Add.self, ResetPassword.self, List.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add",
            abstract: "Add a user. The password is asked for, or read from a pipe.")

        @OptionGroup var common: CommonOptions

        @Argument(help: "The name to log in with.")
        var name: String

        @Option(name: .long, help: "member or admin.")
        var role: Principal.Role = .member

        func run() async throws {
            let identity = try IdentityStore(folder: common.dataPath, environment: .system)
            let password = try Terminal.readSecret(prompt: "Password for \(name): ")
            _ = try await identity.addUser(name: name, role: role, password: password)
            Terminal.say("\(name) can log in now, as \(role.rawValue).")
        }
    }

    struct ResetPassword: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "reset-password",
            abstract: "Give a user a new password and end all of the user's sessions.")

        @OptionGroup var common: CommonOptions

        @Argument(help: "The user's name.")
        var name: String

        func run() async throws {
            let identity = try IdentityStore(folder: common.dataPath, environment: .system)
            let password = try Terminal.readSecret(prompt: "New password for \(name): ")
            try await identity.resetPassword(name: name, password: password)
            Terminal.say("\(name) has a new password; open sessions have ended.")
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List the users.")

        @OptionGroup var common: CommonOptions

        func run() async throws {
            let identity = try IdentityStore(folder: common.dataPath, environment: .system)
            for user in try await identity.users() {
                Terminal.say(
                    "\(user.userID)  \(user.role.rawValue)  \(Terminal.harmless(user.name))")
            }
        }
    }
}

extension Principal.Role: ExpressibleByArgument {}
