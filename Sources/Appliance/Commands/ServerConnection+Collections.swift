import Core

extension ServerConnection {
    /// A collection by its name: one of the user's own before one that is shared, which may also be
    /// called by its owner and its name, `ann/Boats`. Nil where there is none.
    func collection(named name: String) async throws -> Collection? {
        struct Named: Decodable { let ownerName: String? }
        struct Collections: Decodable { let collections: [Collection] }
        struct Names: Decodable { let collections: [Named] }
        let bytes = try await call("GET", "/api/collections")
        let collections = try decode(Collections.self, bytes).collections
        let owners = try decode(Names.self, bytes).collections.map(\.ownerName)
        let own = collections.first { $0.access == .own && $0.name == name }
        return own
            ?? zip(collections, owners).first { collection, owner in
                name == collection.name || name == "\(owner ?? "")/\(collection.name)"
            }?.0
    }

    /// The identifiers of collections by their names. Throws `notFound` for one that is not there.
    func collectionIDs(named names: [String]) async throws -> [Identifier] {
        var ids: [Identifier] = []
        for name in names {
            guard let found = try await collection(named: name) else {
                throw Failure(.notFound, "There is no collection “\(name)”.")
            }
            ids.append(found.id)
        }
        return ids
    }
}
