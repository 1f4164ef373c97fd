extension Schema {
    /// What Anthropic's clients send and are sent.
    static let anthropic: [String: Schema] = [
        "AnthropicError": .record([
            "type": .choice(["error"]), "error": .record(["type": .string, "message": .string]),
            "request_id": Schema(["type": ["string", "null"]]),
        ]),
        "AnthropicRequest": .record([
            "model?": .string, "max_tokens?": .integer, "messages": .list("AnthropicInput"),
            "system?": .oneOf([.string, .list("AnthropicBlock")]), "stream?": .boolean,
            "temperature?": .number, "top_p?": .number, "top_k?": .integer,
            "stop_sequences?": .array(.string), "tools?": .list("AnthropicTool"),
            "tool_choice?": .record([
                "type": .choice(["auto", "any", "tool", "none"]), "name?": .string,
                "disable_parallel_tool_use?": .boolean,
            ]),
            "output_config?": .record([
                "format?": .record(["type": .choice(["json_schema"]), "schema": anyObject]),
                "effort?": .string,
            ]),
            "thinking?": .record([
                "type": .choice(["enabled", "adaptive", "disabled"]), "display?": .string,
                "budget_tokens?": .integer,
            ]), "cache_control?": .reference("AnthropicCacheControl"),
        ]),
        "AnthropicInput": .record([
            "role": .choice(["user", "assistant", "system"]),
            "content": .oneOf([.string, .list("AnthropicBlock")]),
        ]),
        "AnthropicBlock": .record(
            [
                "type": .choice([
                    "text", "image", "tool_use", "tool_result", "thinking", "redacted_thinking",
                ]), "text?": .string,
                "source?": .record([
                    "type": .choice(["base64", "url"]), "media_type?": .string, "data?": .string,
                    "url?": .string,
                ]), "id?": .string, "name?": .string, "input?": anyObject,
                "tool_use_id?": .string, "is_error?": .boolean,
                "content?": .oneOf([.string, .list("AnthropicBlock")]), "thinking?": .string,
                "signature?": .string, "data?": .string,
                "cache_control?": .reference("AnthropicCacheControl"),
            ], "The fields are those of its type."),
        "AnthropicTool": .record([
            "type?": .choice(["custom"]), "name": .string, "description?": .string,
            "input_schema": anyObject, "strict?": .boolean,
            "cache_control?": .reference("AnthropicCacheControl"),
        ]),
        "AnthropicCacheControl": .record([
            "type": .choice(["ephemeral"]), "ttl?": .choice(["5m", "1h"]),
        ]),
        "AnthropicMessage": .record([
            "id": .string, "type": .choice(["message"]), "role": .choice(["assistant"]),
            "model": .string, "content": .list("AnthropicBlock"),
            "stop_reason": .choice([
                "end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal",
            ]), "stop_sequence": Schema(["type": ["string", "null"]]),
            "usage": .reference("AnthropicUsage"),
        ]),
        "AnthropicModel": .record([
            "type": .choice(["model"]), "id": .string, "display_name": .string,
            "created_at": .timestamp, "max_input_tokens": .integer, "max_tokens": .integer,
        ]),
        "AnthropicModels": .record([
            "data": .list("AnthropicModel"), "has_more": .boolean,
            "first_id": Schema(["type": ["string", "null"]]),
            "last_id": Schema(["type": ["string", "null"]]),
        ]),
        "AnthropicUsage": .record([
            "input_tokens": .integer, "cache_creation_input_tokens": .integer,
            "cache_read_input_tokens": .integer, "output_tokens": .integer,
            "output_tokens_details": .record(["thinking_tokens": .integer]),
        ]),
    ]
}
