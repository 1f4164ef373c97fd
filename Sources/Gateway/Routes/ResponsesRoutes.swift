import Core
import HTTPTypes
import Hummingbird
import OrderedJSON

/// OpenAI's Responses API. Nothing is kept between requests.
struct ResponsesRoutes: Sendable {
    let model: any ChatModel
    let environment: Core.Environment
    let streams: StreamSlots

    var routes: [Route] {
        [
            Route(
                .post, "/v1/responses",
                "Answer, at once or as a stream, in the format of OpenAI's Responses. Answers are"
                    + " not kept: each request brings its whole conversation.",
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
        let bytes = try await call.body()
        let body = try JSON.decode(ResponsesRequest.self, from: bytes)
        let json = try JSON.value(of: bytes)
        let name = try await model.name(asked: body.model)
        let request = try body.call(
            of: principal, model: name, body: json, purpose: OpenAIRoutes.purpose)
        let answer = ResponsesAnswer(
            key: environment.identifier().compact,
            createdAt: environment.now(), request: request,
            metadata: try ResponsesRequest.metadata(json["metadata"]),
            instructions: body.instructions)
        let events = body.stream == true ? try streams.stream(for: principal.userID) : nil
        let opened: ChatCall
        do {
            opened = try await model.open(request)
        } catch let failure as Failure {
            throw Self.refusal(failure)
        }
        let running = OpenCall(opened)
        guard let events else { return try await whole(answer, running, call) }
        return stream(answer, running, call, events)
    }

    private func whole(
        _ answer: ResponsesAnswer, _ running: OpenCall, _ call: Call
    ) async throws -> Response {
        let environment = environment
        let (object, completion) = try await call.context.connection.whileOpen {
            var stream = ResponsesStream(answer)
            let completion = try await running.run { _ = stream.receive($0) }
            let time = environment.now()
            _ = stream.end(completion, at: time)
            return (stream.whole(.ended(completion, at: time)), completion)
        }
        var response = Response.text(object.text, type: "application/json")
        response.headers[.callCost] = "\(completion.cost.rawValue)"
        response.headers[.callSaved] = completion.saved.map { "\($0.rawValue)" }
        running.describe(in: &response.headers)
        return response
    }

    private func stream(
        _ answer: ResponsesAnswer, _ running: OpenCall, _ call: Call, _ events: EventStream
    ) -> Response {
        var response = events.response(over: call.context.connection) { sink in
            var stream = ResponsesStream(answer)
            func send(_ events: [JSONValue]) async throws {
                for event in events {
                    try await sink.send(event: event["type"]?.string, text: event.text)
                }
            }
            try await send(stream.begin())
            do {
                let completion = try await running.run { event in
                    // Clients count the events and know their types; a comment is neither.
                    if case .switched(let change) = event {
                        try await sink.send(comment: "heptad_switched \(change.json.text)")
                    }
                    try await send(stream.receive(event))
                }
                try await send(stream.end(completion, at: environment.now()))
            } catch {
                guard !Task.isCancelled else { throw error }
                try await send(stream.fail(Self.refusal(Failure(error))))
            }
        }
        running.describe(in: &response.headers)
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
