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
    var inference = InferenceConfiguration()
    var retrieval = RetrievalConfiguration()
    var orchestration = OrchestrationConfiguration()
    var accounting = AccountingConfiguration()
    var observability = ObservabilityConfiguration()
    var egress = EgressConfiguration()

    /// Throws `invalid` for values that fit their type and make no sense.
    func validate() throws {
        try gateway.validate()
        try inference.validate()
        try retrieval.validate()
        try inference.check(retrieval.reranker.model, key: "retrieval.reranker.model")
        try orchestration.validate()
        try accounting.validate()
        try observability.validate()
        try egress.validate()
    }
}

// Entries of maps, whose defaults the reader has to make.
extension ProviderConfiguration: Section {}
extension ModelConfiguration: Section {}
extension PriceConfiguration: Section {}
