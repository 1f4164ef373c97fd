import Metrics
import Synchronization

/// Every metric of the process, by the name Prometheus knows it under.
///
/// There is a limit to the number of series: what a label's value comes from may be hostile. Past it
/// a family counts in one series more, labelled `overflow="true"`.
final class MetricRegistry: MetricsFactory {
    private let state = Mutex(State())

    private struct State {
        var seriesMax = 1000
        var seriesCount = 0
        var overflowCount = 0
        var families: [String: Family] = [:]
        // Layers make a counter wherever they count; finding it again must cost little.
        var known: [Key: Found] = [:]
    }

    private struct Family {
        let type: PrometheusText.FamilyType
        let label: String
        var series: [PrometheusText.Labels: Cell] = [:]
    }

    private struct Key: Hashable {
        let kind: Kind
        let label: String
        let dimensions: [String]
    }

    private struct Found {
        let name: String
        let labels: PrometheusText.Labels
        let cell: Cell
    }

    fileprivate enum Kind { case counter, gauge, recorder, timer }

    private enum Cell {
        case counter(CounterCell)
        case gauge(GaugeCell)
        case histogram(HistogramCell)

        var object: AnyObject {
            switch self {
            case .counter(let cell): cell
            case .gauge(let cell): cell
            case .histogram(let cell): cell
            }
        }
    }

    func configure(seriesMax: Int) { state.withLock { $0.seriesMax = seriesMax } }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        counter(label, dimensions)
    }

    func makeFloatingPointCounter(label: String, dimensions: [(String, String)])
        -> any FloatingPointCounterHandler
    {
        counter(label, dimensions)
    }

    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        gauge(label, dimensions)
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool)
        -> any RecorderHandler
    {
        aggregate
            ? histogram(.recorder, label, dimensions, bounds: Buckets.bounds(of: label))
            : gauge(label, dimensions)
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(.timer, label, dimensions, bounds: Buckets.seconds)
    }

    func destroyCounter(_ handler: any CounterHandler) { destroy(handler) }
    func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {
        destroy(handler)
    }
    func destroyMeter(_ handler: any MeterHandler) { destroy(handler) }
    func destroyRecorder(_ handler: any RecorderHandler) { destroy(handler) }
    func destroyTimer(_ handler: any TimerHandler) { destroy(handler) }

    /// All families by name, each with its series by label.
    func write(to text: inout PrometheusText) {
        let (families, overflowCount) = state.withLock { ($0.families, $0.overflowCount) }
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            text.family(name, family.type, help: family.label)
            for (labels, cell) in family.series.sorted(by: { $0.key.text < $1.key.text }) {
                switch cell {
                case .counter(let cell): text.sample(cell.value, labels)
                case .gauge(let cell): text.sample(cell.value, labels)
                case .histogram(let cell): text.histogram(cell, labels)
                }
            }
        }
        text.family(
            "heptad_metric_series_overflowed_total", .counter,
            help: "Metrics that found no room for a series of their own.")
        text.sample(Double(overflowCount))
    }

    private func counter(_ label: String, _ dimensions: [(String, String)]) -> CounterCell {
        let cell = cell(.counter, label, dimensions) { .counter(CounterCell()) }
        if case .counter(let cell) = cell { return cell }
        return CounterCell()
    }

    private func gauge(_ label: String, _ dimensions: [(String, String)]) -> GaugeCell {
        let cell = cell(.gauge, label, dimensions) { .gauge(GaugeCell()) }
        if case .gauge(let cell) = cell { return cell }
        return GaugeCell()
    }

    private func histogram(
        _ kind: Kind, _ label: String, _ dimensions: [(String, String)], bounds: [Double]
    ) -> HistogramCell {
        let cell = cell(kind, label, dimensions) { .histogram(HistogramCell(bounds: bounds)) }
        if case .histogram(let cell) = cell { return cell }
        return HistogramCell(bounds: bounds)
    }

    /// The cell of that name and those labels, made where there is none. Nil where the name belongs
    /// to a family of another type: such a metric counts for nobody.
    private func cell(
        _ kind: Kind, _ label: String, _ dimensions: [(String, String)], make: () -> Cell
    ) -> Cell? {
        let key = Key(
            kind: kind, label: label, dimensions: dimensions.flatMap { [$0.0, $0.1] })
        return state.withLock { state in
            if let found = state.known[key] { return found.cell }
            let name = kind.name(for: label)
            var labels = PrometheusText.Labels(dimensions)
            if state.families[name] == nil {
                guard state.families.count < Self.familiesMax else {
                    state.overflowCount += 1
                    return nil
                }
                state.families[name] = Family(type: kind.type, label: label)
            }
            guard state.families[name]?.type == kind.type else { return nil }
            if let cell = state.families[name]?.series[labels] { return cell }
            let isFull = state.seriesCount >= state.seriesMax
            if isFull {
                state.overflowCount += 1
                labels = .overflow
                if let cell = state.families[name]?.series[labels] { return cell }
            }
            let cell = make()
            state.families[name]?.series[labels] = cell
            if !isFull {
                state.seriesCount += 1
                state.known[key] = Found(name: name, labels: labels, cell: cell)
            }
            return cell
        }
    }

    private func destroy(_ handler: AnyObject) {
        state.withLock { state in
            guard let (key, found) = state.known.first(where: { $0.value.cell.object === handler })
            else { return }
            state.known[key] = nil
            if state.families[found.name]?.series.removeValue(forKey: found.labels) != nil {
                state.seriesCount -= 1
            }
        }
    }

    // Names come from our own code; a bug there must not eat the memory either.
    private static let familiesMax = 1000
}

extension MetricRegistry.Kind {
    fileprivate var type: PrometheusText.FamilyType {
        switch self {
        case .counter: .counter
        case .gauge: .gauge
        case .recorder, .timer: .histogram
        }
    }

    /// The conventions of Prometheus: counters end in `_total`, and a time says its unit.
    fileprivate func name(for label: String) -> String {
        let name = PrometheusText.name(label)
        switch self {
        case .counter: return name.hasSuffix("_total") ? name : name + "_total"
        case .timer: return name.hasSuffix("_seconds") ? name : name + "_seconds"
        case .gauge, .recorder: return name
        }
    }
}
