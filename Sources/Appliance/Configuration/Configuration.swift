import Accounting
import Egress
import Gateway
import Inference
import Observability
import Orchestration
import Retrieval

/// `heptad.yaml`: one section for each layer that has settings, each owned by its layer.
struct Configuration: Section, Equatable {
    var gateway = GatewayConfiguration()
    var orchestration = OrchestrationConfiguration()
    var retrieval = RetrievalConfiguration()
    var inference = InferenceConfiguration()
    var observability = ObservabilityConfiguration()
    var accounting = AccountingConfiguration()
    var egress = EgressConfiguration()

    /// Throws `invalid` for values that fit their type and make no sense.
    func validate() throws {
        try gateway.validate()
        try orchestration.validate()
        try retrieval.validate()
        try inference.validate()
        try observability.validate()
        try accounting.validate()
        try egress.validate()
    }
}
