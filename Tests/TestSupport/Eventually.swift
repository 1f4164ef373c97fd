/// Waits until `condition` holds; false when it still does not after `limit`.
package func eventually(
    within limit: Duration = .seconds(2), _ condition: @Sendable () -> Bool
) async -> Bool {
    let deadline = ContinuousClock.now + limit
    while !condition() {
        guard ContinuousClock.now < deadline else { return false }
        try? await Task.sleep(for: .milliseconds(2))
    }
    return true
}
