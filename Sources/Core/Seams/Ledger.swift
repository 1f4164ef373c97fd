/// What calls cost. Made by Accounting.
package protocol Ledger: Sendable {
    /// The most a call may cost, and what is left to spend. Reserves nothing.
    func quote(_ request: ChatRequest) async throws -> Quote

    /// The running month of one principal.
    func spend(of principal: Principal) async throws -> Spend
}
