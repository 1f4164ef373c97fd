import Core
import OrderedJSON

extension Schema {
    /// What the Responses API takes and gives.
    static let responses: [String: Schema] = [
        "ResponsesRequest": .record([
            "model?": .string, "input": .oneOf([.string, .list("ResponsesItem")]),
            "instructions?": .string, "stream?": .boolean, "max_output_tokens?": .integer,
            "temperature?": .number, "top_p?": .number, "top_k?": .integer, "min_p?": .number,
            "seed?": .integer, "stop?": .oneOf([.string, .array(.string)]),
            "include?": .array(.string), "top_logprobs?": .integer,
            "tools?": .list("ResponsesTool"), "tool_choice?": toolChoice,
            "parallel_tool_calls?": .boolean,
            "text?": .record(["format?": .reference("ResponsesFormat")]),
            "truncation?": .choice(["auto", "disabled"]), "metadata?": .map(.string),
            "store?": Schema([
                "type": "boolean", "enum": [false],
                "description": "Answers are not kept; true is refused.",
            ]),
        ]),
        "ResponsesItem": .record(
            [
                "type?": .choice([
                    "message", "function_call", "function_call_output", "file_search_call",
                    "reasoning",
                ]),
                "id?": .string, "status?": .string,
                "role?": .choice(["system", "developer", "user", "assistant"]),
                "content?": .oneOf([.string, .list("ResponsesPart")]),
                "call_id?": .string, "name?": .string, "arguments?": .string,
                "output?": .oneOf([.string, .list("ResponsesPart")]),
                "summary?": .array(anyObject), "queries?": .array(.string),
                "results?": .oneOf([.array(anyObject), null]),
            ], "A message, a call of a function, what it gave back, or what a model thought."),
        "ResponsesPart": .record([
            "type": .choice([
                "input_text", "output_text", "input_image", "refusal", "reasoning_text",
            ]),
            "text?": .string, "image_url?": .string, "detail?": .string, "refusal?": .string,
            "annotations?": .array(anyObject), "logprobs?": .list("OpenAILogprob"),
        ]),
        "ResponsesTool": .record([
            "type": .choice(["function", "file_search"]), "name?": .string,
            "description?": .string, "parameters?": .oneOf([anyObject, null]),
            "strict?": .boolean, "vector_store_ids?": .array(.string),
            "max_num_results?": .integer, "filters?": .oneOf([anyObject, null]),
            "ranking_options?": .record(["ranker?": .string, "score_threshold?": .number]),
        ]),
        "ResponsesFormat": .record([
            "type": .choice(["text", "json_object", "json_schema"]), "name?": .string,
            "schema?": anyObject, "strict?": .boolean,
        ]),
        "ResponsesAnswer": .record([
            "id": .string, "object": .choice(["response"]), "created_at": .integer,
            "status": .choice(["in_progress", "completed", "incomplete", "failed"]),
            "background": .boolean, "completed_at": orNull("integer"),
            "error": .oneOf([.record(["code": .string, "message": .string]), null]),
            "incomplete_details": .oneOf([
                .record(["reason": .choice(["max_output_tokens", "content_filter"])]), null,
            ]), "instructions": orNull("string"), "max_output_tokens": orNull("integer"),
            "max_tool_calls": null, "model": .string, "output": .list("ResponsesItem"),
            "parallel_tool_calls": .boolean, "previous_response_id": null,
            "reasoning": anyObject, "store": .boolean, "temperature": orNull("number"),
            "text": .record(["format": .reference("ResponsesFormat")]),
            "tool_choice": toolChoice, "tools": .list("ResponsesTool"),
            "top_logprobs": orNull("integer"), "top_p": orNull("number"),
            "truncation": .choice(["auto", "disabled"]),
            "usage": .oneOf([.reference("ResponsesUsage"), null]), "user": null,
            "metadata": .map(.string),
        ]),
        "ResponsesUsage": .record([
            "input_tokens": .integer, "output_tokens": .integer, "total_tokens": .integer,
            "input_tokens_details": .record([
                "cached_tokens": .integer, "cache_write_tokens": .integer,
            ]), "output_tokens_details": .record(["reasoning_tokens": .integer]),
        ]),
    ]

    private static let toolChoice = Schema.oneOf([
        .choice(["none", "auto", "required"]),
        .record([
            "type": .choice(["function", "file_search", "allowed_tools"]), "name?": .string,
            "mode?": .choice(["auto", "required"]), "tools?": .array(anyObject),
        ]),
    ])
    private static let null = Schema(["type": "null"])

    private static func orNull(_ type: String) -> Schema {
        Schema(["type": [.string(type), "null"]])
    }
}
