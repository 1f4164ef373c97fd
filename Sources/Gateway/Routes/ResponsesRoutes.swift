import Core
import HTTPTypes
import Hummingbird
import OrderedJSON

/// OpenAI's Responses API. Nothing is kept between requests.
struct ResponsesRoutes: Sendable {
    let model: any ChatModel
    let grounded: any GroundedModel
    let archive: any Archive
    let environment: Core.Environment
    let streams: StreamSlots

    var routes: [Route] {
        [
            Route(
                .post, "/v1/responses",
                "Answer, at once or as a stream, in the format of OpenAI's Responses. Answers are"
                    + " not kept: each request brings its whole conversation. With the tool"
                    + " `file_search` vector stores are searched for the last question before the"
                    + " model is asked, and the text has `file_citation` annotations.",
                body: .json(.reference("ResponsesRequest")),
                answers: [
                    .ok(
                        .reference("ResponsesAnswer"),
                        "The answer; `x-heptad-cost` has its cost in picodollars, and the headers of"
                            + " the cache are those of `/v1/chat/completions`."),
                    .events("`response.created` to `response.completed`, with `stream`."),
                ], handler: respond)
        ]
    }

    @Sendable private func respond(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let body = try ResponsesRequest(try await call.fields())
        let name = try await model.name(asked: body.model)
        let request = try body.call(of: principal, model: name, purpose: OpenAIRoutes.purpose)
        let tool = try body.fileSearch()
        var answer = ResponsesAnswer(
            key: environment.identifier().compact,
            createdAt: environment.now(), request: request,
            metadata: try body.metadata(),
            instructions: body.instructions)
        answer.fileSearch = tool
        let events = body.stream == true ? try streams.stream(for: principal.userID) : nil
        let opened: Opened
        do {
            opened = try await open(request, tool)
        } catch let failure as Failure {
            throw Self.refusal(failure)
        }
        guard let events else { return try await whole(answer, opened, call) }
        return stream(answer, opened, call, events)
    }

    /// A call that is open, and what was found for it.
    private struct Opened: Sendable {
        let call: OpenCall
        var search: FileSearchResult?
        var citations: @Sendable () async -> [TextCitation] = { [] }
    }

    private func open(_ request: ChatRequest, _ tool: FileSearchTool?) async throws -> Opened {
        guard let tool else { return Opened(call: OpenCall(try await model.open(request))) }
        var search = SearchRequest(
            principal: request.principal, text: "", collectionIDs: tool.stores, limit: tool.limit)
        search.filter = tool.filter
        let opened = try await grounded.open(request, searching: search, scoreMin: tool.scoreMin)
        // Held from here on, so that it is given up where something fails.
        let call = OpenCall(opened.call)
        var documents: [Identifier: DocumentSummary] = [:]
        for id in Set(opened.hits.map(\.passage.documentID)) {
            documents[id] = try? await archive.document(id, for: request.principal)
        }
        let result = FileSearchResult(
            query: opened.query, includesResults: tool.includesResults, hits: opened.hits,
            documents: documents)
        return Opened(call: call, search: result, citations: opened.citations)
    }

    private func whole(
        _ answer: ResponsesAnswer, _ opened: Opened, _ call: Call
    ) async throws -> Response {
        let environment = environment
        let (object, completion) = try await call.context.connection.whileOpen {
            var stream = ResponsesStream(answer)
            if let search = opened.search { _ = stream.search(search) }
            let completion = try await opened.call.run { _ = stream.receive($0) }
            if let search = opened.search {
                _ = stream.cite(await opened.citations(), search)
            }
            let time = environment.now()
            _ = stream.end(completion, at: time)
            return (stream.whole(.ended(completion, at: time)), completion)
        }
        var response = Response.text(object.text, type: "application/json")
        response.headers[.callCost] = "\(completion.cost.rawValue)"
        response.headers[.callSaved] = completion.saved.map { "\($0.rawValue)" }
        opened.call.describe(in: &response.headers)
        return response
    }

    private func stream(
        _ answer: ResponsesAnswer, _ opened: Opened, _ call: Call, _ events: EventStream
    ) -> Response {
        var response = events.response(over: call.context.connection) { sink in
            var stream = ResponsesStream(answer)
            func send(_ events: [JSONValue]) async throws {
                for event in events {
                    try await sink.send(event: event["type"]?.string, text: event.text)
                }
            }
            try await send(stream.begin())
            if let search = opened.search { try await send(stream.search(search)) }
            do {
                let completion = try await opened.call.run { event in
                    // Clients count the events and know their types; a comment is neither.
                    if case .switched(let change) = event {
                        try await sink.send(comment: "heptad_switched \(change.json.text)")
                    }
                    try await send(stream.receive(event))
                }
                if let search = opened.search {
                    try await send(stream.cite(await opened.citations(), search))
                }
                try await send(stream.end(completion, at: environment.now()))
            } catch {
                guard !Task.isCancelled else { throw error }
                try await send(stream.fail(Self.refusal(Failure(error))))
            }
        }
        opened.call.describe(in: &response.headers)
        return response
    }

    /// As on the chat surface, with the names that the fields have on this one.
    private static func refusal(_ failure: Failure) -> Refusal {
        let message = failure.message
            .replacing("response_format.json_schema", with: "text.format")
            .replacing("response_format", with: "text.format")
            .replacing(".function.parameters", with: ".parameters")
        var refusal = OpenAIRoutes.refusal(
            Failure(
                failure.code, message, cause: failure.cause, retryAfter: failure.retryAfter))
        if refusal.parameter == "messages" { refusal.parameter = "input" }
        return refusal
    }
}
