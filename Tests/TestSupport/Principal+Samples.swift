package import Core

extension Principal {
    /// A member, the same in every test.
    package static let alice = sample("00000000-0000-7000-8000-00000000000a", .member, "Alice")
    /// Another member, who must never see what is Alice's.
    package static let mallory = sample("00000000-0000-7000-8000-00000000000b", .member, "Mallory")
    package static let owner = sample("00000000-0000-7000-8000-00000000000c", .owner, "Owner")

    private static func sample(_ id: String, _ role: Role, _ name: String) -> Principal {
        guard let userID = Identifier(id) else { preconditionFailure("Not an identifier: \(id)") }
        return Principal(userID: userID, role: role, name: name)
    }
}
