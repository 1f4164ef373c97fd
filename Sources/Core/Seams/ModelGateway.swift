package import OrderedJSON

/// How providers, models and routes do, and the keys of providers. Made by Inference; everything
/// throws `forbidden` for who is no administrator.
package protocol ModelGateway: Sendable {
    /// As the schema `ModelsOverview` describes it; no key is in it.
    func overview(for principal: Principal) async throws -> JSONValue

    /// Seals a key and uses it from now on, in another's place where one is named. Returns it as the
    /// schema `ProviderKey` describes it, without the key. Throws `notFound` for what is not there.
    func setKey(
        _ key: String, replacing id: Identifier?, of provider: String, for principal: Principal
    ) async throws -> JSONValue

    func removeKey(_ id: Identifier, of provider: String, for principal: Principal) async throws
}

/// What calls cost, for who has to choose before they are made. Made by Accounting.
package protocol Pricing: Sendable {
    /// The most that so many tokens cost at a candidate. Throws `invalid` where no price is known
    /// and such calls are refused.
    func ceiling(of candidate: String, input: Int, output: Int) throws -> Picodollars

    func cost(of part: CandidateUsage) -> Picodollars
}
