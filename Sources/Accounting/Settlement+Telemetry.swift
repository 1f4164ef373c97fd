import Core
import Metrics
import Tracing

/// Puts what a call cost on the span around it, and counts it for each candidate. Returns all
/// together.
func noteCosts(_ costs: [Picodollars], of candidates: [String]) -> Picodollars {
    let total = costs.total
    activeSpan()?.attributes["heptad.cost.picodollars"] = total.rawValue
    for (candidate, cost) in zip(candidates, costs) {
        // A metric is for graphs and may round; the ledger has the exact amount.
        FloatingPointCounter(label: "heptad.cost.usd", dimensions: [("candidate", candidate)])
            .increment(by: Double(cost.rawValue) / Double(Picodollars.perDollar))
    }
    return total
}

extension [Picodollars] {
    /// The sum, at most what 64 bits hold: what was booked says more exactly what is wrong.
    fileprivate var total: Picodollars {
        Picodollars(
            reduce(Int64(0)) { sum, cost in
                let (next, overflow) = sum.addingReportingOverflow(cost.rawValue)
                return overflow ? .max : next
            })
    }
}

/// Puts what a cache saved on the current span, and counts it.
func noteSaved(_ saved: Picodollars, _ candidate: String) {
    activeSpan()?.attributes["heptad.saved.picodollars"] = saved.rawValue
    FloatingPointCounter(label: "heptad.saved.usd", dimensions: [("candidate", candidate)])
        .increment(by: Double(saved.rawValue) / Double(Picodollars.perDollar))
}

/// The span that the current task is in.
func activeSpan() -> (any Span)? {
    ServiceContext.current.flatMap { InstrumentationSystem.tracer.activeSpan(identifiedBy: $0) }
}
