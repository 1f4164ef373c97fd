import ArgumentParser
import Core
import Gateway

struct TeamCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "team", abstract: "Put users into teams, to share collections with.",
        discussion: "Works beside a running server, which notices at once.",
        subcommands: [Add.self, Remove.self, Join.self, Leave.self, List.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Make a team.")

        @OptionGroup var common: CommonOptions

        @Argument(help: "Its name.")
        var name: String

        func run() async throws {
            let identity = try IdentityStore(folder: common.dataPath, environment: .system)
            let team = try await identity.addTeam(name: name)
            Terminal.say("There is a team \(Terminal.harmless(team.name)) now.")
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove",
            abstract: "Take a team away, and what its members had through it.")

        @OptionGroup var common: CommonOptions

        @Argument(help: "Its name.")
        var name: String

        func run() async throws {
            let identity = try IdentityStore(folder: common.dataPath, environment: .system)
            try await identity.removeTeam(name: name)
            Terminal.say("The team is gone.")
        }
    }

    struct Member: ParsableArguments {
        @OptionGroup var common: CommonOptions

        @Argument(help: "The team.")
        var team: String

        @Argument(help: "The user.")
        var user: String

        func set(_ isMember: Bool) async throws {
            let identity = try IdentityStore(folder: common.dataPath, environment: .system)
            try await identity.setMember(user, of: team, isMember: isMember)
            Terminal.say("\(user) is \(isMember ? "in" : "not in") \(team) now.")
        }
    }

    struct Join: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "join", abstract: "Put a user into a team.")

        @OptionGroup var member: Member

        func run() async throws { try await member.set(true) }
    }

    struct Leave: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "leave", abstract: "Take a user out of a team.")

        @OptionGroup var member: Member

        func run() async throws { try await member.set(false) }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List the teams and who is in them.")

        @OptionGroup var common: CommonOptions

        func run() async throws {
            let identity = try IdentityStore(folder: common.dataPath, environment: .system)
            for team in try await identity.teams() {
                let members = team.members.joined(separator: ", ")
                Terminal.say(Terminal.harmless("\(team.name)  \(members)"))
            }
        }
    }
}
