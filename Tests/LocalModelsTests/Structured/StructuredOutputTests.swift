import Core
import OrderedJSON
import TestSupport
import Testing

@testable import LocalModels

@Suite("Structured output")
struct StructuredOutputTests {
    @Test("Whatever a model would say, what comes is JSON that the schema allows")
    func random() throws {
        for seed in UInt64(0)..<60 {
            var schemas = RandomSchema(seed: seed)
            let schema = schemas.root()
            let isStrict = seed % 2 == 0
            guard let grammar = try Self.grammar(schema, isStrict) else { continue }
            for run in UInt64(0)..<4 {
                let room = [60, 150, 400, 2000][Int(run)]
                let answer = try TinyVocabulary.answer(
                    grammar, seed: seed * 97 + run, tokensMax: room)
                guard answer.isEnded else {
                    // Only where the shortest value would not have fitted.
                    #expect(grammar.ruleCosts[0] >= room, "\(schema.text) \(answer.text)")
                    continue
                }
                let value = try? JSONValue(parsing: answer.text.utf8)
                #expect(
                    value.map { SchemaValidator(root: schema).isValid($0, schema) } == true,
                    "\(seed) \(schema.text)\n\(answer.text)")
            }
        }
    }

    /// Nil for a schema that goes on for ever, which is refused.
    private static func grammar(_ schema: JSONValue, _ isStrict: Bool) throws -> Grammar? {
        do { return try SchemaCompiler.grammar(schema, isStrict: isStrict) } catch let failure
            as Failure where failure.message.contains("without an end")
        {
            return nil
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let schema: String
        let fits: [String]
        let fails: [String]
        var isStrict = false
        var testDescription: String { schema }
    }

    static let cases: [Case] = [
        Case(
            schema:
                #"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"]}"#,
            fits: [
                #"{"a":1}"#, #"{"a": 1, "b": "x"}"#, "{\n  \"a\": 1\n}",
                #"{"a":-10,"b":"\u00e9é\n"}"#,
            ],
            fails: [
                #"{}"#, #"{"b":"x"}"#, #"{"b":"x","a":1}"#, #"{"a":1.5}"#, #"{"a":01}"#,
                #"{"a":1,}"#, #"{"a":1} "#, #" {"a":1}"#, #"{"a":1,"c":2}"#,
                #"{"a":1,"b":"\ud83d"}"#, "{\"a\":1,\"b\":\"\n\"}", #"{"a":1  }"#,
            ]),
        Case(
            schema:
                #"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}}}"#,
            fits: [#"{"a":1,"b":""}"#], fails: ["{}", #"{"a":1}"#], isStrict: true),
        Case(
            schema: #"{"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":3}"#,
            fits: ["[true]", "[true, false,true]"], fails: ["[]", "[true,true,true,true]", "[1]"]),
        Case(
            schema:
                #"{"type":"array","prefixItems":[{"const":1},{"enum":["x","xy"]}],"items":false}"#,
            fits: [#"[1,"x"]"#, #"[1, "xy"]"#], fails: ["[1]", #"[1,"xyz"]"#, #"[1,"x",2]"#]),
        Case(
            schema: #"{"type":"integer","minimum":-7,"maximum":123}"#,
            fits: ["-7", "0", "9", "99", "100", "123", "-1"],
            fails: ["-8", "124", "1000", "-0", "00", "1.0", "200"]),
        Case(
            schema: #"{"type":"number","minimum":0,"exclusiveMaximum":1}"#,
            fits: ["0", "0.5", "0.99", "0.0"], fails: ["1", "1.0", "-0.1", "2", "1e-1", ".5"]),
        Case(
            schema: #"{"type":"number","exclusiveMinimum":-1.5,"maximum":20.25}"#,
            fits: ["-1.49", "-1", "20.25", "20", "3.1"], fails: ["-1.5", "20.26", "21", "-2"]),
        Case(
            schema: #"{"type":["string","null"],"pattern":"^a[bc]{2,3}(d|é)?$"}"#,
            fits: [#""abb""#, #""abcb""#, #""abcbé""#, "null"],
            fails: [#""ab""#, #""abbx""#, #""""#]),
        Case(
            schema: #"{"type":"string","pattern":"b+"}"#, fits: [#""b""#, #""xbby""#],
            fails: [#""x""#]),
        Case(
            schema: #"{"type":"string","minLength":2,"maxLength":3}"#,
            fits: [#""éé""#, #""a\n""#, #""日本語""#, #""\ud83d\ude00x""#],
            fails: [#""é""#, #""abcd""#]),
        Case(
            schema: #"{"type":"string","format":"date"}"#, fits: [#""2024-02-28""#],
            fails: [#""2024-02-30""#, #""24-01-01""#, #""2024-13-01""#]),
        Case(
            schema: #"{"type":"string","format":"date-time"}"#,
            fits: [#""2024-12-31T23:59:59Z""#, #""1999-06-30T00:00:00.5+02:00""#],
            fails: [#""2024-12-31 23:59:59""#, #""2024-12-31T24:00:00Z""#]),
        Case(
            schema: #"{"type":"string","format":"uuid"}"#,
            fits: [#""123e4567-e89b-42d3-a456-426614174000""#], fails: [#""123""#]),
        Case(
            schema:
                ##"{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"],"additionalProperties":false}}}"##,
            fits: [#"{"v":1,"next":{"v":2,"next":null}}"#], fails: [#"{"v":1,"next":{}}"#]),
        Case(
            schema:
                #"{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"],"additionalProperties":{"type":"string"}}"#,
            fits: [#"{"id":1}"#, #"{"id":1,"name":"x","idx":"y","i":"","":"z"}"#],
            fails: [#"{"id":1,"id":"x"}"#, #"{"id":1,"n":2}"#, #"{"id":1,"\u0069d":"x"}"#]),
        Case(
            schema: #"{"type":"object"}"#, fits: ["{}", #"{"a": [1, {"b": null}], "c": -1.5e3}"#],
            fails: ["[]", "1", #"{"a"}"#]),
        Case(
            schema:
                #"{"type":"object","properties":{"c":{"const":{"k":[1,"é\""]}}},"required":["c"]}"#,
            fits: [#"{"c":{"k":[1,"é\""]}}"#], fails: [#"{"c":{"k":[2]}}"#]),
    ]

    @Test("A grammar takes what fits its schema and nothing else", arguments: cases)
    func language(_ row: Case) throws {
        let schema = try JSONValue(parsing: row.schema.utf8)
        let grammar = try SchemaCompiler.grammar(schema, isStrict: row.isStrict)
        func takes(_ text: String) -> Bool {
            var matcher = GrammarMatcher(grammar)
            let end = matcher.step(matcher.start, text.utf8)
            return end != GrammarMatcher.dead && matcher.isAccepting(end)
        }
        #expect(row.fits.filter { !takes($0) } == [])
        #expect(row.fails.filter { takes($0) } == [])
    }

    @Test(
        "What cannot be kept to is refused with its place",
        arguments: [
            (
                #"{"type":"object","properties":{"a":{"type":"string","pattern":"(?=x)"}}}"#,
                "#/properties/a/pattern"
            ),
            (#"{"type":"string","pattern":"\\bx"}"#, "#/pattern"),
            (#"{"type":"string","pattern":"a{2000}{2000}"}"#, "#/pattern"),
            (#"{"type":"thing"}"#, "#/type"), (#"{"not":{}}"#, "#/not"),
            (#"{"type":"object","patternProperties":{}}"#, "#/patternProperties"),
            (#"{"oneOf":[{"type":"null"},{"type":"string"}]}"#, "#/oneOf"),
            (##"{"$ref":"#/$defs/a"}"##, "#/$ref"), (#"{"$ref":"http://x/y"}"#, "#/$ref"),
            (##"{"$ref":"#"}"##, "#"), (#"{"anyOf":[]}"#, "#/anyOf"), (#"{"enum":[]}"#, "#/enum"),
            (##"{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}"##, "#"),
            (#"{"type":"array","items":{"type":"string"},"uniqueItems":true}"#, "#/uniqueItems"),
            (#"{"type":"array","minItems":3,"maxItems":1}"#, "#/minItems"),
            (#"{"type":"array","minItems":-1}"#, "#/minItems"),
            (#"{"type":"integer","minimum":5,"maximum":1}"#, "#/minimum"),
            (#"{"type":"integer","multipleOf":7}"#, "#/multipleOf"),
            (#"{"type":"object","required":["x"]}"#, "#/required"),
            (#"{"type":"string","minLength":2,"pattern":"a"}"#, "#"),
            (#"{"properties":{"a":false}}"#, "#/properties/a"), ("[]", "#"),
            (#"{"type":"string","enum":[1,2]}"#, "#/enum"),
        ])
    func refusals(_ schema: String, _ place: String) throws {
        let schema = try JSONValue(parsing: schema.utf8)
        do {
            _ = try SchemaCompiler.grammar(schema, isStrict: true)
            Issue.record("\(schema.text) was taken")
        } catch let failure as Failure {
            #expect(failure.code == .invalid)
            #expect(failure.message.contains("`\(place)`"), "\(failure.message)")
        }
    }

    @Test("An answer ends in time: the shortest end is written while there is room for it")
    func closing() throws {
        let schema = try JSONValue(
            parsing:
                #"{"type":"object","properties":{"text":{"type":"string"},"numbers":{"type":"array","items":{"type":"integer"},"minItems":2}},"required":["text","numbers"]}"#
                .utf8)
        let grammar = try SchemaCompiler.grammar(schema, isStrict: true)
        // A model that says nothing but this letter.
        var logits = [Float](repeating: 0, count: TinyVocabulary.texts.count)
        logits[Int(UInt8(ascii: "a"))] = 60
        let shortest = #"{"text":"","numbers":[0,0]}"#.utf8.count
        for room in [shortest + 1, 40, 100] {
            let answer = try TinyVocabulary.answer(
                grammar, seed: 1, tokensMax: room, logits: logits)
            let value = try JSONValue(parsing: answer.text.utf8)
            #expect(answer.isEnded && answer.tokens <= room)
            #expect(SchemaValidator(root: schema).isValid(value, schema))
        }
        // Too short for any end: it is cut.
        #expect(try !TinyVocabulary.answer(grammar, seed: 1, tokensMax: 5, logits: logits).isEnded)
    }

    @Test("A mask has exactly the tokens that are allowed one by one")
    func masks() throws {
        let schema = try JSONValue(
            parsing:
                #"{"type":"object","properties":{"a":{"type":"string"},"b":{"enum":["x","é"]}}}"#
                .utf8)
        let grammar = try SchemaCompiler.grammar(schema, isStrict: true)
        var constraint = OutputConstraint(
            grammar, trie: TinyVocabulary.trie, endTokens: [TinyVocabulary.endToken])
        for piece in [
            "{\"", "a", "\":", "\"", "é", "\"", ",", "\"", "b", "\":", "\"", "x", "\"", "}",
        ] {
            let mask = constraint.mask()
            for token in Int32(0)..<Int32(TinyVocabulary.texts.count) {
                let isAllowed = constraint.verdict(on: token, tokensLeft: 1000) == .allowed
                #expect(mask.has(token) == isAllowed, "\(token) before \(piece)")
            }
            for token in TinyVocabulary.trie.tokens(spelling: Array(piece.utf8)) ?? [] {
                #expect(constraint.verdict(on: token, tokensLeft: 1000) == .allowed)
                constraint.accept(token)
            }
        }
        #expect(constraint.isFinished)
    }
}

/// Makes schemas of every kind that is supported.
private struct RandomSchema {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func root() -> JSONValue {
        let child = object(depth: 1)
        return object(
            depth: 0,
            more: [
                (
                    "$defs",
                    .object([
                        .init(
                            "node",
                            .object([
                                .init("type", .string("object")),
                                .init(
                                    "properties",
                                    .object([
                                        .init("leaf", child),
                                        .init(
                                            "next",
                                            .object([
                                                .init(
                                                    "anyOf",
                                                    .array([
                                                        .object([.init("type", .string("null"))]),
                                                        .object([
                                                            .init("$ref", .string("#/$defs/node"))
                                                        ]),
                                                    ]))
                                            ])),
                                    ])),
                                .init("required", .array([.string("next")])),
                            ]))
                    ])
                )
            ])
    }

    private mutating func object(depth: Int, more: [(String, JSONValue)] = []) -> JSONValue {
        let names = ["a", "ab", "b\"c", "é", "x y"].prefix(pick(4) + 1)
        let properties = names.map { JSONValue.Member($0, schema(depth: depth + 1)) }
        let required = names.filter { _ in pick(2) == 0 }.map { JSONValue.string($0) }
        var members: [JSONValue.Member] = [
            .init("type", .string("object")), .init("properties", .object(properties)),
            .init("required", .array(required)),
        ]
        if pick(3) == 0 { members.append(.init("additionalProperties", schema(depth: depth + 2))) }
        return .object(members + more.map { .init($0.0, $0.1) })
    }

    private mutating func schema(depth: Int) -> JSONValue {
        func make(_ text: String) -> JSONValue { (try? JSONValue(parsing: text.utf8)) ?? .null }
        switch pick(depth > 2 ? 9 : 13) {
        case 0: return make(#"{"type":"string"}"#)
        case 1:
            let least = pick(3)
            return make(#"{"type":"string","minLength":\#(least),"maxLength":\#(least + pick(4))}"#)
        case 2: return make(#"{"type":"string","pattern":"^[a-c]{1,3}(-\\d+|é)?$"}"#)
        case 3:
            let least = pick(2000) - 1000
            return make(#"{"type":"integer","minimum":\#(least),"maximum":\#(least + pick(500))}"#)
        case 4:
            let least = Double(pick(2000) - 1000) / 10
            return make(#"{"type":"number","exclusiveMinimum":\#(least),"maximum":\#(least + 3)}"#)
        case 5: return make(#"{"type":["boolean","null"]}"#)
        case 6: return make(#"{"enum":["x","xy",1,null,{"a":[]}]}"#)
        case 7: return make(#"{"type":"number"}"#)
        case 8: return make(#"{"const":"\u0000\\\""}"#)
        case 9: return object(depth: depth)
        case 10:
            let least = pick(3)
            return .object([
                .init("type", .string("array")), .init("items", schema(depth: depth + 1)),
                .init("minItems", .number("\(least)")), .init("maxItems", .number("\(least + 2)")),
            ])
        case 11:
            return .object([
                .init("anyOf", .array([schema(depth: depth + 1), schema(depth: depth + 1)]))
            ])
        default: return make(##"{"$ref":"#/$defs/node"}"##)
        }
    }

    private mutating func pick(_ count: Int) -> Int { Int(generator.next() % UInt64(count)) }
}
