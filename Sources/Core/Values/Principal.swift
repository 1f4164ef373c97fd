/// Who acts: a user, through a browser session, an API key or the command line. Every store method
/// that reads or writes someone's rows takes one.
package struct Principal: Hashable, Codable, Sendable {
    package enum Role: String, Codable, Sendable, CaseIterable {
        case member, admin, owner
    }

    package let userID: Identifier
    package let role: Role
    package let name: String
    /// The API key that the user came with; nil for a session or the command line.
    package let keyID: Identifier?
    /// The teams that the user is in.
    package var teamIDs: [Identifier]?
    /// The collections that the key is limited to; nil for all.
    package var collectionIDs: [Identifier]?

    package init(userID: Identifier, role: Role, name: String, keyID: Identifier? = nil) {
        (self.userID, self.role, self.name, self.keyID) = (userID, role, name, keyID)
    }

    /// Owners and admins look after the appliance: they see its traces and totals, never other
    /// people's chats or documents.
    package var isAdministrator: Bool { role != .member }
}
