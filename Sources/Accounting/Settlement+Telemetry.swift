import Core
import Metrics
import Tracing

/// Runs a settlement in its own span, puts what it cost on the span around it too, and counts it.
func withSettlementSpan(
    _ candidate: String, _ settle: () async -> Picodollars
) async -> Picodollars {
    let around = ServiceContext.current.flatMap(activeSpan)
    let cost = await withSpan("account settle") { span in
        let cost = await settle()
        span.attributes["heptad.cost.picodollars"] = cost.rawValue
        return cost
    }
    around?.attributes["heptad.cost.picodollars"] = cost.rawValue
    // A metric is for graphs and may round; the ledger has the exact amount.
    FloatingPointCounter(label: "heptad.cost.usd", dimensions: [("candidate", candidate)])
        .increment(by: Double(cost.rawValue) / Double(Picodollars.perDollar))
    return cost
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
