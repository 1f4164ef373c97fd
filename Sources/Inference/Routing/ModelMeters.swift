import Metrics
import Synchronization

/// The metrics of one model's calls, each looked up when it is first needed and then kept: making
/// one formats its labels and takes the registry's lock.
final class ModelMeters: Sendable {
    private struct Made {
        var counters: [String: Counter] = [:]
        var timers: [String: Metrics.Timer] = [:]
    }

    private let dimensions: [(String, String)]
    private let made = Mutex(Made())

    init(_ key: Key) {
        dimensions = [
            ("gen_ai_operation_name", key.operation.rawValue),
            ("gen_ai_provider_name", key.provider), ("gen_ai_request_model", key.model),
        ]
    }

    func counter(_ label: String) -> Counter {
        made.withLock { made in
            if let known = made.counters[label] { return known }
            let counter = Counter(label: label, dimensions: dimensions)
            made.counters[label] = counter
            return counter
        }
    }

    func timer(_ label: String) -> Metrics.Timer {
        made.withLock { made in
            if let known = made.timers[label] { return known }
            let timer = Metrics.Timer(label: label, dimensions: dimensions)
            made.timers[label] = timer
            return timer
        }
    }

    /// Of calls that failed in this way, which are rare.
    func timer(_ label: String, error: String) -> Metrics.Timer {
        Metrics.Timer(label: label, dimensions: dimensions + [("error_type", error)])
    }

    /// Whose they are, as metrics tell it.
    struct Key: Hashable, Sendable {
        let operation: ModelSpan.Operation
        let provider: String
        let model: String
    }

    /// Those of all models that were called.
    final class Shelf: Sendable {
        private let meters = Mutex<[Key: ModelMeters]>([:])

        // Models are those of the configuration.
        private static let metersMax = 1000

        subscript(_ key: Key) -> ModelMeters {
            meters.withLock { meters in
                if let known = meters[key] { return known }
                let made = ModelMeters(key)
                if meters.count < Self.metersMax { meters[key] = made }
                return made
            }
        }
    }
}
