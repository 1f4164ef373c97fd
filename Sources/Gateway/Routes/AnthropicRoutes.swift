import Core
import HTTPTypes
import Hummingbird
import OrderedJSON

/// The surface that Anthropic's clients speak.
struct AnthropicRoutes: Sendable {
    let model: any ChatModel
    let environment: Core.Environment
    let streams: StreamSlots

    var routes: [Route] {
        [
            Route(
                .post, "/v1/messages",
                "Continue a conversation, at once or as a stream, in Anthropic's format.",
                body: .json(.reference("AnthropicRequest")),
                answers: [
                    .ok(
                        .reference("AnthropicMessage"),
                        "The answer; `x-heptad-cost` has its cost in picodollars."),
                    .events("The events of the answer, with `stream`."),
                ], handler: complete),
            Route(
                .post, "/v1/messages/count_tokens",
                "Count the tokens of a conversation, in Anthropic's format.",
                body: .json(.reference("AnthropicRequest")),
                answers: [.ok(.record(["input_tokens": .integer]))], handler: countTokens),
        ]
    }

    @Sendable private func complete(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let chat = try await chat(call, isAnswered: true)
        let events = chat.isStreamed ? try streams.stream(for: principal.userID) : nil
        // Only a stream tells the prompt's tokens before its end.
        let inputTokens = chat.isStreamed ? try await count(chat.request) : 0
        let open = OpenCall(try await open(chat.request))
        let reply = AnthropicReply(
            id: "msg_" + environment.identifier().compact,
            model: chat.request.model, thoughts: chat.thoughts)
        var response: Response
        if let events {
            response = stream(open, reply, call, events, inputTokens: inputTokens)
        } else {
            response = try await answer(open, reply, call)
        }
        response.headers[.requestID] = call.context.traceID
        open.describe(in: &response.headers)
        return response
    }

    @Sendable private func countTokens(_ call: Call) async throws -> Response {
        let chat = try await chat(call, isAnswered: false)
        var response = try Response.json(["input_tokens": try await count(chat.request)])
        response.headers[.requestID] = call.context.traceID
        return response
    }

    private func chat(_ call: Call, isAnswered: Bool) async throws -> AnthropicChat {
        var chat = try AnthropicChat(
            try await call.fields(), of: try call.principal, purpose: OpenAIRoutes.purpose,
            isAnswered: isAnswered)
        chat.request.model = try await model.name(asked: chat.request.model)
        return chat
    }

    private func open(_ request: ChatRequest) async throws -> ChatCall {
        do {
            return try await model.open(request)
        } catch let failure as Failure where failure.code == .tooLarge {
            // The surface says 413 of bodies only, and clients look for the first words.
            throw Failure(
                .invalid, "prompt is too long: \(failure.message)", cause: failure.cause)
        }
    }

    private func answer(_ open: OpenCall, _ reply: AnthropicReply, _ call: Call) async throws
        -> Response
    {
        let (message, cost) = try await call.context.connection.whileOpen {
            var reply = reply
            let completion = try await open.run { _ = try reply.receive($0) }
            _ = reply.end(completion)
            return (reply.whole(completion), completion.cost)
        }
        var response = Response.text(message.text, type: "application/json")
        response.headers[.callCost] = "\(cost.rawValue)"
        return response
    }

    private func stream(
        _ open: OpenCall, _ reply: AnthropicReply, _ call: Call, _ events: EventStream,
        inputTokens: Int
    ) -> Response {
        var events = events
        events.sign = AnthropicEvent.ping
        return events.response(over: call.context.connection) { sink in
            var reply = reply
            do {
                try await sink.send(reply.start(inputTokens: inputTokens))
                let completion = try await open.run { event in
                    for event in try reply.receive(event) { try await sink.send(event) }
                }
                for event in reply.end(completion) { try await sink.send(event) }
            } catch {
                guard !Task.isCancelled else { throw error }
                try await sink.send(
                    event: "error",
                    data: AnthropicError(Refusal(of: error), requestID: call.context.traceID))
            }
        }
    }

    // MARK: Tokens

    /// What the model reads of the request, as near as can be told before it does.
    private func count(_ request: ChatRequest) async throws -> Int {
        let counts = try await model.countTokens(request.countedTexts, model: request.model)
        let images = request.messages.reduce(0) { count, message in
            count
                + message.parts.count {
                    if case .image = $0 { true } else { false }
                }
        }
        return counts.reduce(0) { $0 &+ max(0, $1) }
            &+ request.messages.count * Self.tokensPerMessage &+ images * Self.tokensPerImage
    }

    // What names the role of a message.
    private static let tokensPerMessage = 4
    // Of a picture as large as Anthropic's models see them.
    private static let tokensPerImage = 1600
}

extension EventSink {
    fileprivate func send(_ event: AnthropicEvent) async throws {
        try await send(event: event.name, text: event.data.text)
    }
}
