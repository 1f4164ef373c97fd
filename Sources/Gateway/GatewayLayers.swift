package import Core

/// What the Gateway puts on HTTP.
package struct GatewayLayers: Sendable {
    package let assistant: any Assistant
    package let conversations: any Conversations
    package let knowledge: any KnowledgeBase
    package let catalogue: any Catalogue
    package let archive: any Archive
    package let batches: any FileBatches
    package let jobs: any JobQueue
    package let model: any ChatModel
    package let grounded: any GroundedModel
    package let embedder: any Embedder
    package let gateway: any ModelGateway
    package let ledger: any Ledger
    package let traces: any TraceReader
    package let assets: any AssetSource

    package init(
        assistant: any Assistant, conversations: any Conversations, knowledge: any KnowledgeBase,
        catalogue: any Catalogue, archive: any Archive, batches: any FileBatches,
        jobs: any JobQueue, model: any ChatModel,
        grounded: any GroundedModel, embedder: any Embedder, gateway: any ModelGateway,
        ledger: any Ledger,
        traces: any TraceReader,
        assets: any AssetSource
    ) {
        self.assistant = assistant
        self.conversations = conversations
        self.knowledge = knowledge
        self.catalogue = catalogue
        self.archive = archive
        self.batches = batches
        self.jobs = jobs
        self.model = model
        self.grounded = grounded
        self.embedder = embedder
        self.gateway = gateway
        self.ledger = ledger
        self.traces = traces
        self.assets = assets
    }
}
