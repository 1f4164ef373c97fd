import Core
import Metrics
import Tracing

/// Runs a settlement in its own span, puts what it cost on the span around it too, and counts it for
/// each candidate. Returns all together.
func withSettlementSpan(
    _ candidates: [String], _ settle: () async -> [Picodollars]
) async -> Picodollars {
    let around = ServiceContext.current.flatMap(activeSpan)
    let costs = await withSpan("account settle") { span in
        let costs = await settle()
        span.attributes["heptad.cost.picodollars"] = costs.total.rawValue
        return costs
    }
    around?.attributes["heptad.cost.picodollars"] = costs.total.rawValue
    for (candidate, cost) in zip(candidates, costs) {
        // A metric is for graphs and may round; the ledger has the exact amount.
        FloatingPointCounter(label: "heptad.cost.usd", dimensions: [("candidate", candidate)])
            .increment(by: Double(cost.rawValue) / Double(Picodollars.perDollar))
    }
    return costs.total
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
    let around = ServiceContext.current.flatMap(activeSpan)
    around?.attributes["heptad.saved.picodollars"] = saved.rawValue
    FloatingPointCounter(label: "heptad.saved.usd", dimensions: [("candidate", candidate)])
        .increment(by: Double(saved.rawValue) / Double(Picodollars.perDollar))
}

private func activeSpan(_ context: ServiceContext) -> (any Span)? {
    InstrumentationSystem.tracer.activeSpan(identifiedBy: context)
}
