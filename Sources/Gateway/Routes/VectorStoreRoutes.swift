import Core
import HTTPTypes
import Hummingbird
import OrderedJSON

/// `/v1/vector_stores`: collections as OpenAI's clients make, fill and search them.
struct VectorStoreRoutes: Sendable {
    let knowledge: any KnowledgeBase
    let catalogue: any Catalogue
    let archive: any Archive
    let environment: Core.Environment

    static let path = "/v1/vector_stores"
    static let filesMax = 500
    static let resultsMax = 50
    static let queriesMax = 8
    private static let limitDefault = 20
    private static let limitMax = 100
    private static let namesMax = 100

    var routes: [Route] { storeRoutes + fileRoutes }

    private var storeRoutes: [Route] {
        let one = Self.path + "/{id}"
        let answer = [Answer.ok(.reference("OpenAIVectorStore"))]
        return [
            Route(
                .post, Self.path, "Make a vector store, which is a collection.",
                body: .json(.reference("OpenAIVectorStoreRequest")), answers: answer,
                handler: create),
            Route(
                .get, Self.path, "Your collections and those shared with you.",
                query: OpenAIPage.parameters,
                answers: [.ok(FileRoutes.list("OpenAIVectorStore"))], handler: list),
            Route(.get, one, "One vector store.", answers: answer, handler: store),
            Route(
                .post, one, "Give a vector store another name, metadata or time to live.",
                body: .json(.reference("OpenAIVectorStoreRequest")), answers: answer,
                handler: modify),
            Route(
                .delete, one, "Take a vector store away; its files stay in the default collection.",
                answers: [.ok(.reference("OpenAIDeleted"))], handler: remove),
            Route(
                .post, one + "/search",
                "The best passages for a question or several, of files that fit the filters.",
                body: .json(.reference("OpenAISearchRequest")),
                answers: [.ok(.reference("OpenAISearchAnswer"))], handler: search),
        ]
    }

    @Sendable private func create(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let fields = try await self.fields(of: call)
        let ids = try fields.strings("file_ids") ?? []
        guard ids.count <= Self.filesMax else {
            throw fields.refusal("file_ids", "has more than \(Self.filesMax) entries.")
        }
        try VectorStoreBody.checkChunking(fields)
        let change = try VectorStoreBody.change(fields)
        let name = change.name ?? "Vector store"
        // All that can be refused is, before anything is made.
        let files = try ids.map { try OpenAIID.file.named($0) }
        for file in files { _ = try await archive.document(file, for: principal) }
        var collection = try await made(name, for: principal)
        do {
            var rest = change
            rest.name = nil
            collection = try await catalogue.changeCollection(collection.id, rest, for: principal)
            for file in files {
                _ = try await archive.attach(file, to: collection.id, true, for: principal)
            }
        } catch {
            try? await catalogue.removeCollection(
                collection.id, keepingDocuments: true, for: principal)
            throw error
        }
        return try await answer(collection.id, principal)
    }

    /// Stores may have the same name there; here a number tells them apart.
    private func made(_ name: String, for principal: Principal) async throws -> Core.Collection {
        for number in 2...Self.namesMax {
            let isFirst = number == 2
            do {
                return try await catalogue.createCollection(
                    named: isFirst ? name : "\(name) (\(number - 1))", for: principal)
            } catch let failure as Failure where failure.code == .conflict { continue }
        }
        throw Failure(.conflict, "There are \(Self.namesMax) vector stores of that name already.")
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        let page = try page(call)
        let now = environment.now()
        let shown = page.of(try await catalogue.collections(for: call.principal)) {
            OpenAIID.vectorStore.text($0.id)
        }
        return .json(
            .page(
                shown.items.map { OpenAIVectorStore.json($0, at: now) }, hasMore: shown.hasMore))
    }

    private func page(_ call: Call) throws -> OpenAIPage {
        try OpenAIPage(call, limitDefault: Self.limitDefault, limitMax: Self.limitMax)
    }

    @Sendable private func store(_ call: Call) async throws -> Response {
        try await answer(id(call), call.principal)
    }

    @Sendable private func modify(_ call: Call) async throws -> Response {
        let (id, principal) = (try id(call), try call.principal)
        let change = try VectorStoreBody.change(try await fields(of: call))
        let changed = try await catalogue.changeCollection(id, change, for: principal)
        return .json(OpenAIVectorStore.json(changed, at: environment.now()))
    }

    @Sendable private func remove(_ call: Call) async throws -> Response {
        let id = try id(call)
        try await catalogue.removeCollection(id, keepingDocuments: true, for: call.principal)
        return .json([
            "id": .string(OpenAIID.vectorStore.text(id)), "object": "vector_store.deleted",
            "deleted": true,
        ])
    }

    private func answer(_ id: Identifier, _ principal: Principal) async throws -> Response {
        let collections = try await catalogue.collections(for: principal)
        guard let collection = collections.first(where: { $0.id == id }) else {
            throw Self.noStore
        }
        return .json(OpenAIVectorStore.json(collection, at: environment.now()))
    }

    static let noStore = Failure(.notFound, "There is no such vector store.")
    static let noFile = Failure(.notFound, "There is no such file in this vector store.")

    func id(_ call: Call) throws -> Identifier {
        try OpenAIID.vectorStore.named(call.text("id"))
    }

    /// The body as an object; none at all is an empty one.
    func fields(of call: Call) async throws -> JSONFields {
        let body = try await call.body()
        return try JSONFields(body.readableBytes == 0 ? [:] : try JSON.value(of: body))
    }

    // MARK: Searching

    @Sendable private func search(_ call: Call) async throws -> Response {
        let (id, principal) = (try id(call), try call.principal)
        let search = try VectorStoreSearch(try await fields(of: call))
        var hits: [Identifier: SearchHit] = [:]
        for query in search.queries {
            var request = SearchRequest(
                principal: principal, text: query, collectionIDs: [id], limit: search.limit)
            request.filter = search.filter
            for hit in try await knowledge.search(request) {
                let known = hits[hit.passage.id]
                if known.map({ $0.score < hit.score }) ?? true { hits[hit.passage.id] = hit }
            }
        }
        let best = hits.values.filter { OpenAIVectorStore.score(of: $0) >= search.scoreMin }
            .sorted { ($0.score, $1.passage.id) > ($1.score, $0.passage.id) }.prefix(search.limit)
        var documents: [Identifier: DocumentSummary] = [:]
        var results: [JSONValue] = []
        for hit in best {
            let file = hit.passage.documentID
            if documents[file] == nil {
                documents[file] = try? await archive.document(file, for: principal)
            }
            // What was taken away meanwhile is left out.
            guard let document = documents[file] else { continue }
            results.append(OpenAIVectorStore.result(hit, of: document))
        }
        return .json([
            "object": "vector_store.search_results.page",
            "search_query": .array(search.queries.map { .string($0) }), "data": .array(results),
            "has_more": false, "next_page": .null,
        ])
    }
}

// MARK: Files

extension VectorStoreRoutes {
    static let statusFilter = QueryParameter(
        name: "filter", schema: .choice(["in_progress", "completed", "failed", "cancelled"]),
        summary: "Only those of this status.")

    private var fileRoutes: [Route] {
        let files = Self.path + "/{id}/files"
        let answer = [Answer.ok(.reference("OpenAIVectorStoreFile"))]
        return [
            Route(
                .post, files, "Put one of your files into a vector store as well.",
                body: .json(.reference("OpenAIVectorStoreFileRequest")), answers: answer,
                handler: attach),
            Route(
                .get, files, "The files of a vector store.",
                query: OpenAIPage.parameters + [Self.statusFilter],
                answers: [.ok(FileRoutes.list("OpenAIVectorStoreFile"))], handler: listFiles),
            Route(.get, files + "/{file}", "One file.", answers: answer, handler: file),
            Route(
                .post, files + "/{file}", "Give a file other attributes.",
                body: .json(.record(["attributes": Schema.anyObject])), answers: answer,
                handler: changeFile),
            Route(
                .delete, files + "/{file}", "Take a file out of a vector store; the file stays.",
                answers: [.ok(.reference("OpenAIDeleted"))], handler: detach),
            Route(
                .get, files + "/{file}/content", "The text that was read from a file.",
                answers: [
                    .ok(
                        .record([
                            "object": .string,
                            "data": .array(.record(["type": .string, "text": .string])),
                            "has_more": .boolean, "next_page": Schema(["type": "null"]),
                        ]))
                ], handler: fileText),
        ]
    }

    @Sendable private func attach(_ call: Call) async throws -> Response {
        let (store, principal) = (try id(call), try call.principal)
        let fields = try await fields(of: call)
        try VectorStoreBody.checkChunking(fields)
        let text = try fields.required("file_id", try fields.string("file_id"))
        let file = try OpenAIID.file.named(text)
        var change = DocumentChange()
        change.attributes = try VectorStoreBody.attributes(fields)
        var document = try await archive.attach(file, to: store, true, for: principal)
        if change.attributes != nil {
            document = try await archive.changeDocument(file, change, for: principal)
        }
        return .json(OpenAIVectorStore.file(document, in: store))
    }

    @Sendable private func listFiles(_ call: Call) async throws -> Response {
        let store = try id(call)
        let page = try OpenAIPage(
            call, limitDefault: Self.limitDefault, limitMax: Self.limitMax)
        let status = try call.query["filter"]
        let documents = try await archive.documents(in: store, for: call.principal).filter {
            status == nil || OpenAIVectorStore.status(of: $0) == status
        }
        let shown = page.of(documents) { OpenAIID.file.text($0.id) }
        return .json(
            .page(
                shown.items.map { OpenAIVectorStore.file($0, in: store) }, hasMore: shown.hasMore))
    }

    /// The file of the path, where it is in the store of the path.
    private func found(_ call: Call) async throws -> (Identifier, DocumentSummary) {
        let store = try id(call)
        let file = try OpenAIID.file.named(call.text("file"))
        let documents = try await archive.documents(in: store, for: call.principal)
        guard let document = documents.first(where: { $0.id == file }) else {
            throw Self.noFile
        }
        return (store, document)
    }

    @Sendable private func file(_ call: Call) async throws -> Response {
        let (store, document) = try await found(call)
        return .json(OpenAIVectorStore.file(document, in: store))
    }

    @Sendable private func changeFile(_ call: Call) async throws -> Response {
        let (store, document) = try await found(call)
        let fields = try await fields(of: call)
        var change = DocumentChange()
        change.attributes = try VectorStoreBody.attributes(fields) ?? [:]
        let changed = try await archive.changeDocument(document.id, change, for: call.principal)
        return .json(OpenAIVectorStore.file(changed, in: store))
    }

    @Sendable private func detach(_ call: Call) async throws -> Response {
        let (store, document) = try await found(call)
        _ = try await archive.attach(document.id, to: store, false, for: call.principal)
        return .json([
            "id": .string(OpenAIID.file.text(document.id)), "object": "vector_store.file.deleted",
            "deleted": true,
        ])
    }

    @Sendable private func fileText(_ call: Call) async throws -> Response {
        let (_, document) = try await found(call)
        let (_, text) = try await knowledge.text(of: document.id, for: call.principal)
        return .json([
            "object": "vector_store.file_content.page",
            "data": [["type": "text", "text": .string(text)]], "has_more": false,
            "next_page": .null,
        ])
    }
}
