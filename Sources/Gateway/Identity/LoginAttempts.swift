import Core

/// Slows down who guesses passwords: by the name that is tried, and by the address that tries.
struct LoginAttempts: Sendable {
    /// One more try each 30 seconds.
    private static let perMinute = 2.0

    private let names: TokenBuckets<[UInt8]>
    private let addresses: TokenBuckets<NetworkAddress?>

    init(burst: Int, environment: Environment) {
        names = TokenBuckets(burst: burst, perMinute: Self.perMinute, environment: environment)
        // An office or a family shares an address.
        addresses = TokenBuckets(
            burst: burst * 2, perMinute: Self.perMinute * 2, environment: environment)
    }

    /// Runs `authenticate` and counts it when it fails. Counted before, so that many tries at once
    /// are no way around.
    func limit<Value>(
        name: String, client: Client, _ authenticate: () async throws -> Value
    ) async throws -> Value {
        let name = Secret.sha256(IdentityStore.folded(name))
        let address = client.address?.network
        let byAddress = addresses.take(address)
        guard byAddress.isAllowed else { throw refusal(byAddress) }
        let byName = names.take(name)
        guard byName.isAllowed else { throw refusal(byName) }
        do {
            let value = try await authenticate()
            names.giveBack(name)
            addresses.giveBack(address)
            return value
        } catch let failure as Failure where failure.code == .unauthenticated {
            throw failure
        } catch {
            names.giveBack(name)
            addresses.giveBack(address)
            throw error
        }
    }

    private func refusal(_ state: BucketState) -> Failure {
        Failure(
            .rateLimited, "Too many wrong passwords; wait a little and try again.",
            retryAfter: state.wait)
    }
}
