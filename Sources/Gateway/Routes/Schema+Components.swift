import Core

extension Schema {
    /// The named schemas. A test encodes a value of each and holds it against its schema.
    static let components: [String: Schema] = account.merging(conversation) { $1 }
        .merging(knowledge) { $1 }.merging(telemetry) { $1 }.merging(openAI) { $1 }
        .merging(anthropic) { $1 }
        .merging(responses) { $1 }
        .merging(vectorStores) { $1 }
        .merging(admin) { $1 }
        .merging(explanation) { $1 }

    private static let account: [String: Schema] = [
        "Problem": .record(
            [
                "type": .string, "title": .string, "status": .integer, "detail": .string,
                "code": .choice(Failure.Code.allCases.map(\.rawValue)), "traceID?": .traceID,
                "setupNeeded?": .boolean,
            ], "Why a request was refused (RFC 9457)."),
        "Setup": .record(["token": .string, "name": .string, "password": .string]),
        "Login": .record(["name": .string, "password": .string]),
        "User": .record([
            "id": .identifier, "name": .string,
            "role": .choice(Principal.Role.allCases.map(\.rawValue)),
        ]),
        "Session": .record([
            "user": .reference("User"), "csrfToken?": .string, "setupNeeded": .boolean,
        ]),
        "KeySummary": .record([
            "id": .identifier, "name": .string, "prefix": .string, "createdAt": .timestamp,
            "lastUsedAt?": .timestamp, "collectionIDs?": .array(.identifier),
        ]),
        "NewKey": .record([
            "id": .identifier, "name": .string, "prefix": .string, "key": .string,
        ]),
        "Spend": .record([
            "month": .string, "total": .picodollars, "reserved": .picodollars,
            "budget?": .picodollars, "lines": .list("SpendLine"),
        ]),
        "SpendLine": .record([
            "candidate": .string, "calls": .integer, "inputTokens": .integer,
            "outputTokens": .integer, "cost": .picodollars,
        ]),
    ]

    private static let conversation: [String: Schema] = [
        "ModelCard": .record([
            "name": .string, "candidates": .array(.string), "contextTokens": .integer,
            "outputTokensMax": .integer, "isLocal": .boolean, "answersMax": .integer,
            "price?": .reference("TokenPrice"),
        ]),
        "TokenPrice": .record([
            "input": .picodollars, "cacheRead": .picodollars, "cacheWrite": .picodollars,
            "output": .picodollars, "asOf": .string,
        ]),
        "NewChat": .record([
            "title?": .string, "passagesMax?": .integer, "collectionIDs?": .array(.identifier),
        ]),
        "ChatSummary": .record([
            "id": .identifier, "title": .string, "createdAt": .timestamp,
            "updatedAt": .timestamp, "passagesMax?": .integer,
            "collectionIDs?": .array(.identifier),
        ]),
        "ChatEntry": .record([
            "id": .identifier, "role": .choice(["system", "user", "assistant", "tool"]),
            "text": .string, "createdAt": .timestamp, "turnID?": .identifier,
            "turnState?": turnState, "outcome?": .reference("TurnOutcome"),
        ]),
        "Question": .record([
            "question": .string, "model?": .string, "collectionIDs?": .array(.identifier),
            "sampling?": .reference("Sampling"),
        ]),
        "Sampling": .record([
            "temperature?": .number, "topK?": .integer, "topP?": .number, "minP?": .number,
            "seed?": .integer, "stop?": .array(.string), "outputTokensMax?": .integer,
        ]),
        "TurnStarted": .record([
            "turnID": .identifier, "questionID": .identifier, "answerID": .identifier,
        ]),
        "TurnOutcome": .record([
            "state": turnState, "text": .string, "citations": .list("Citation"),
            "verdicts?": .list("SentenceVerdict"), "search?": .reference("SearchReport"),
            "notices": .array(.string), "completion?": .reference("Completion"),
            "failure?": .string, "traceID?": .traceID, "totalMilliseconds": .number,
        ]),
        "Citation": .record([
            "number": .integer, "passage": .reference("Passage"),
            "origin": .choice(["model", "attributed", "quoted", "closest"]),
        ]),
        "Completion": .record([
            "candidate": .string,
            "finishReason": .choice([
                "stop", "length", "contentFilter", "toolCalls",
            ]),
            "usage": .reference("TokenUsage"), "cost": .picodollars,
            "firstTokenMilliseconds?": .number, "totalMilliseconds": .number,
            "cache?": .choice(["miss", "hit", "joined", "similar", "stale"]),
            "saved?": .picodollars,
        ]),
        "TokenUsage": .record([
            "freshInput": .integer, "cacheRead": .integer, "cacheWrite": .integer,
            "output": .integer, "reasoning": .integer, "isEstimated": .boolean,
            "statedCost?": .picodollars,
        ]),
    ]

    private static let turnState = Schema.choice([
        "running", "completed", "cancelled", "failed", "interrupted",
    ])

    private static let knowledge: [String: Schema] = [
        "Collection": .record([
            "id": .identifier, "name": .string, "documentCount": .integer,
            "passageCount": .integer, "createdAt": .timestamp, "ownerID": .identifier,
            "ownerName?": .string, "access": .choice(["read", "write", "own"]),
            "byteCount": .integer, "pendingCount": .integer, "failedCount": .integer,
            "activeAt": .timestamp, "settings": .reference("CollectionSettings"),
            "documentsMax": .integer, "bytesMax": .integer, "metadata": .map(.string),
            "expiresAfterDays?": .integer,
        ]),
        "CollectionSettings": .record([
            "passagesMax?": .integer, "vectorShare?": .number, "similarityMin?": .number,
            "passageTokensMax?": .integer, "documentsMax?": .integer, "bytesMax?": .integer,
        ]),
        "CollectionChange": .record([
            "name?": .string, "settings?": .reference("CollectionSettings"),
            "metadata?": .map(.string), "expiresAfterDays?": .integer,
        ]),
        "Share": .record([
            "granteeID": .identifier, "access": .choice(["read", "write"]), "user?": .string,
            "team?": .string,
        ]),
        "Team": .record(["id": .identifier, "name": .string, "members": .array(.string)]),
        "DocumentSummary": .record([
            "id": .identifier, "collectionID": .identifier, "name": .string,
            "mediaType": .string, "byteCount": .integer, "passageCount": .integer,
            "state": .choice(["pending", "ready", "failed"]), "failure?": .string,
            "createdAt": .timestamp, "source?": .string, "contentHash?": .string,
            "similarTo?": .identifier, "tags": .array(.string),
            "attributes": .map(.attribute), "purpose?": .string, "expiresAt?": .timestamp,
        ]),
        "AcceptedUpload": .record([
            "documentID": .identifier, "jobID": .identifier, "name": .string,
        ]),
        "Passage": .record([
            "id": .identifier, "documentID": .identifier, "documentName": .string,
            "headings": .array(.string), "text": .string, "start": .integer, "end": .integer,
        ]),
        "SearchQuery": .record([
            "text": .string, "collectionIDs?": .array(.identifier), "limit?": .integer,
            "explain?": .boolean, "tags?": .array(.string), "types?": .array(.string),
            "owners?": .array(.identifier), "from?": .timestamp, "until?": .timestamp,
            "filter?": anyObject,
        ]),
        "SearchHit": .record([
            "passage": .reference("Passage"), "score": .number, "keywordRank?": .integer,
            "vectorRank?": .integer, "similarity?": .number, "keywordScore?": .number,
            "isExact": .boolean, "rank?": .integer, "rerankScore?": .number,
            "rerankRank?": .integer,
        ]),
        "SearchAnswer": .record([
            "hits": .list("SearchHit"), "dropped?": .list("SearchHit"),
            "question?": .choice(["quoted", "code", "prose"]), "vectorShare?": .number,
            "similarityMin?": .number, "hasVectors?": .boolean, "documentCount?": .integer,
            "passageCount?": .integer, "queries?": .array(.string),
            "reranker?": .string, "notes?": .array(.string),
        ]),
    ]

    private static let telemetry: [String: Schema] = [
        "Job": .record([
            "id": .identifier, "kind": .string, "payload": .string,
            "state": .choice(["available", "running", "completed", "failed", "cancelled"]),
            "done": .integer, "total": .integer, "message": .string, "createdAt": .timestamp,
            "updatedAt": .timestamp,
        ]),
        "TraceSummary": .record([
            "traceID": .traceID, "name": .string, "startedAt": .timestamp,
            "durationMilliseconds": .number, "spanCount": .integer, "hasError": .boolean,
        ]),
        "TraceSpan": .record([
            "spanID": .string, "parentID?": .string, "name": .string, "kind": .string,
            "startedAt": .timestamp, "durationMilliseconds": .number,
            "attributes": .map(.string), "events": .list("TraceSpanEvent"), "error?": .string,
        ]),
        "TraceSpanEvent": .record([
            "name": .string, "at": .timestamp, "attributes": .map(.string),
        ]),
    ]

    static let anyObject = Schema(["type": "object"])

    private static let openAI: [String: Schema] = [
        "OpenAIError": .record([
            "error": .record([
                "message": .string, "type": .string,
                "param": Schema(["type": ["string", "null"]]),
                "code": Schema(["type": ["string", "null"]]),
            ])
        ]),
        "OpenAIMessage": .record([
            "role": .choice(["system", "developer", "user", "assistant", "tool"]),
            "content?": .oneOf([
                .string,
                .array(.record(["type": .choice(["text"]), "text": .string])),
                Schema(["type": "null"]),
            ]), "name?": .string, "tool_calls?": .list("OpenAIToolCall"), "tool_call_id?": .string,
        ]),
        "OpenAIToolCall": .record(
            [
                "index?": .integer, "id?": .string, "type?": .choice(["function"]),
                "function": .record(["name?": .string, "arguments": .string]),
            ], "In a stream, the next piece of the call with this index."),
        "OpenAITool": .record([
            "type": .choice(["function"]),
            "function": .record([
                "name": .string, "description?": .string, "parameters?": anyObject,
                "strict?": .boolean,
            ]),
        ]),
        "OpenAIResponseFormat": .record([
            "type": .choice(["text", "json_object", "json_schema"]),
            "json_schema?": .record([
                "name": .string, "schema": anyObject, "strict?": .boolean,
            ]),
        ]),
        "OpenAILogprob": .record([
            "token": .string, "logprob": .number, "bytes": .array(.integer),
            "top_logprobs?": .list("OpenAILogprob"),
        ]),
        "OpenAIChatRequest": .record([
            "model?": .string, "messages": .list("OpenAIMessage"), "stream?": .boolean,
            "stream_options?": .record(["include_usage?": .boolean]),
            "max_tokens?": .integer, "max_completion_tokens?": .integer,
            "temperature?": .number, "top_p?": .number, "top_k?": .integer, "min_p?": .number,
            "stop?": .oneOf([.string, .array(.string)]), "seed?": .integer, "n?": .integer,
            "presence_penalty?": .number, "frequency_penalty?": .number,
            "repetition_penalty?": .number, "logit_bias?": .map(.number), "logprobs?": .boolean,
            "top_logprobs?": .integer, "truncation?": .choice(["auto", "disabled"]),
            "reasoning_effort?": .string,
            "response_format?": .reference("OpenAIResponseFormat"),
            "tools?": .list("OpenAITool"), "parallel_tool_calls?": .boolean,
            "tool_choice?": .oneOf([
                .choice(["none", "auto", "required"]),
                .record([
                    "type": .choice(["function"]), "function": .record(["name": .string]),
                ]),
            ]),
        ]),
        "OpenAIChatAnswer": .record([
            "id": .string, "object": .string, "created": .integer, "model": .string,
            "choices": .array(
                .record([
                    "index": .integer,
                    "message?": .record([
                        "role": .string, "content": Schema(["type": ["string", "null"]]),
                        "refusal": Schema(["type": "null"]),
                        "tool_calls?": .list("OpenAIToolCall"),
                    ]),
                    "finish_reason": Schema(["type": ["string", "null"]]),
                    "logprobs": .oneOf([
                        .record([
                            "content": .list("OpenAILogprob"), "refusal": Schema(["type": "null"]),
                        ]), Schema(["type": "null"]),
                    ]),
                ])), "usage?": .reference("OpenAIUsage"),
        ]),
        "OpenAIUsage": .record([
            "prompt_tokens": .integer, "completion_tokens": .integer, "total_tokens": .integer,
            "prompt_tokens_details": .record([
                "cached_tokens": .integer, "cache_write_tokens": .integer,
            ]), "completion_tokens_details": .record(["reasoning_tokens": .integer]),
        ]),
        "OpenAIEmbeddingsRequest": .record([
            "input": .oneOf([.string, .array(.string)]), "model?": .string,
            "encoding_format?": .choice(["float", "base64"]), "dimensions?": .integer,
        ]),
        "OpenAIEmbeddingsAnswer": .record([
            "object": .string, "model": .string,
            "data": .array(
                .record([
                    "object": .string, "index": .integer,
                    "embedding": .oneOf([.array(.number), .string]),
                ])),
            "usage": .record(["prompt_tokens": .integer, "total_tokens": .integer]),
        ]),
        "OpenAIModel": .record([
            "id": .string, "object": .string, "created": .integer, "owned_by": .string,
            "context_window": .integer,
        ]),
    ]
}
