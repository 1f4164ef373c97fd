extension Schema {
    /// What administrators are shown of the model gateway.
    static let admin: [String: Schema] = [
        "ModelsOverview": .record(
            [
                "since": .timestamp, "problems": .array(.string),
                "providers": .list("ProviderState"), "routes": .list("RouteState"),
            ], "Counts and times are of what happened since the process began."),
        "ProviderState": .record([
            "name": .string, "kind": .string, "isLocal": .boolean, "running": .integer,
            "runningMax?": .integer, "waiting": .integer, "waitingMax?": .integer,
            "keys": .list("ProviderKey"), "models": .list("ModelState"),
        ]),
        "ProviderKey": .record(
            [
                "source": .choice(["configuration", "page"]), "id?": .identifier, "hint": .string,
                "setAt?": .timestamp, "setBy?": .string, "isUsed": .boolean,
                "rests": .array(
                    .record(["model": .string, "until": .timestamp, "reason": .string])),
            ],
            "The hint is the key's last four characters, or empty for a short key. One that is set on"
                + " the page is used in place of the configuration's."),
        "ModelState": .record([
            "name": .string,
            "breaker?": .record([
                "state": .choice(["closed", "open", "half_open"]), "since?": .timestamp,
                "nextProbeAt?": .timestamp, "calls": .integer, "failures": .integer,
            ]), "running": .integer, "requests?": .reference("RateRoom"),
            "tokens?": .reference("RateRoom"),
            "firstTokenMilliseconds": .reference("Percentiles"),
            "totalMilliseconds": .reference("Percentiles"),
        ]),
        "RateRoom": .record(
            ["remaining": .integer, "resetAt": .timestamp], "As the provider said last."),
        "Percentiles": .record(
            ["p50?": .number, "p95?": .number], "Of the last 256 answers of each route."),
        "RouteState": .record([
            "name": .string, "kind": .choice(["chat", "embeddings"]), "policy": .string,
            "costMax?": .picodollars, "arms": .list("ArmState"),
        ]),
        "ArmState": .record(
            [
                "candidate": .string, "share?": .number, "isLastResort": .boolean,
                "calls": .integer, "answers": .integer, "failures": .integer,
                "rejections": .integer, "refusals": .integer, "running": .integer,
                "inputTokens": .integer, "outputTokens": .integer, "cost": .picodollars,
                "firstTokenMilliseconds": .reference("Percentiles"),
                "totalMilliseconds": .reference("Percentiles"),
            ],
            "Calls are answers and failures; rejections are answers that another candidate had to give"
                + " again, refusals those that say no. The cost is at the prices of each call's day;"
                + " the ledger has what was booked."),
    ]
}
