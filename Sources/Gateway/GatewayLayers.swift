package import Core

/// What the Gateway puts on HTTP.
package struct GatewayLayers: Sendable {
    package let assistant: any Assistant
    package let conversations: any Conversations
    package let knowledge: any KnowledgeBase
    package let catalogue: any Catalogue
    package let archive: any Archive
    package let jobs: any JobQueue
    package let model: any ChatModel
    package let embedder: any Embedder
    package let gateway: any ModelGateway
    package let ledger: any Ledger
    package let traces: any TraceReader
    package let assets: any AssetSource

    package init(
        assistant: any Assistant, conversations: any Conversations, knowledge: any KnowledgeBase,
        catalogue: any Catalogue, archive: any Archive, jobs: any JobQueue, model: any ChatModel,
        embedder: any Embedder, gateway: any ModelGateway, ledger: any Ledger,
        traces: any TraceReader,
        assets: any AssetSource
    ) {
        self.assistant = assistant
        self.conversations = conversations
        self.knowledge = knowledge
        self.catalogue = catalogue
        self.archive = archive
        self.jobs = jobs
        self.model = model
        self.embedder = embedder
        self.gateway = gateway
        self.ledger = ledger
        self.traces = traces
        self.assets = assets
    }
}
