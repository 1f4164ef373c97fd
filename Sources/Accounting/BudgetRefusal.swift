import Core

/// Why a reservation was refused.
struct BudgetRefusal {
    let budget: Picodollars
    let spent: Picodollars
    let held: Picodollars
    /// The least that the call may cost.
    let ceiling: Picodollars

    var failure: Failure {
        let facts =
            "This call may cost up to \(ceiling), and of the monthly budget of \(budget) you have"
            + " spent \(spent)"
        // It fits once the calls that are running have given back what they do not use.
        let fitsLater = spent.rawValue <= budget.rawValue - ceiling.rawValue
        if fitsLater {
            return Failure(
                .budgetExceeded,
                facts + " and calls that are running hold \(held). Try again when they have ended.",
                retryAfter: Self.retryAfter)
        }
        return Failure(
            .budgetExceeded,
            facts + ". Ask for a shorter answer, choose a cheaper model, or have an administrator"
                + " raise the budget.")
    }

    // About as long as an answer takes.
    private static let retryAfter = Duration.seconds(10)
}
