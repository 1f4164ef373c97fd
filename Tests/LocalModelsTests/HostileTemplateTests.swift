import Core
import Testing

@testable import LocalModels

@Suite("Hostile templates")
struct HostileTemplateTests {
    struct Attack: CustomStringConvertible, Sendable {
        let description: String
        let source: String

        init(_ description: String, _ source: String) {
            self.description = description
            self.source = source
        }
    }

    static let attacks = [
        Attack("loops in loops", loops("x", depth: 4)),
        Attack("a loop over a loop's text", loops("{{ 'x' * 1000 }}", depth: 3)),
        Attack("a macro that calls itself", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
        Attack(
            "a macro that calls itself twice",
            "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
                + "{{ f(40) }}"),
        Attack(
            "macros that call each other",
            "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}"),
        Attack(
            "a caller that calls its macro",
            "{% macro f() %}{{ caller() }}{% endmacro %}"
                + "{% macro g() %}{% call f() %}{{ g() }}{% endcall %}{% endmacro %}{{ g() }}"),
        Attack("a text that doubles", doubling("'ab'", "ns.v ~ ns.v", 64)),
        Attack("a list that doubles", doubling("[1]", "ns.v + ns.v", 64)),
        Attack("a list of itself, twice, printed", doubling("[1]", "[ns.v, ns.v]", 64)),
        Attack("a mapping of itself, twice", doubling("1", "{'a': ns.v, 'b': ns.v}", 64)),
        Attack("a list of lists", doubling("[]", "[ns.v]", 1000)),
        Attack("a tuple of tuples", doubling("()", "(ns.v,)", 1000)),
        Attack("many large texts", doubling("[]", "ns.v + ['x' * 4000000 ~ loop.index]", 1000)),
        Attack("a text repeated", "{{ 'x' * 9223372036854775807 }}"),
        Attack("a text repeated a little", "{{ 'x' * 100000000 }}"),
        Attack("a list repeated", "{{ [1] * 9223372036854775807 }}"),
        Attack("a long range", "{{ range(9223372036854775807) }}"),
        Attack("a range past the end", "{{ range(-9223372036854775807, 9223372036854775807) }}"),
        Attack("a replacement", "{{ ('a' * 100000) | replace('a', 'b' * 100000) }}"),
        Attack("a replacement between", "{{ ('a' * 1000000) | replace('', 'b') }}"),
        Attack("a join", "{{ range(100000) | join('x' * 100000) }}"),
        Attack("an indent", "{{ ('\\n' * 100000) | indent(100000) }}"),
        Attack("a very wide indent", "{{ 'a\\nb' | indent(9223372036854775807) }}"),
        Attack("an indent of a JSON", "{{ [1] | tojson(indent=9223372036854775807) }}"),
        Attack("a format", "{% set x = 'x' * 1000000 %}{{ ('{0}' * 1000).format(x) }}"),
        Attack("a split", "{{ ('a,' * 1000000).split(',') }}"),
        Attack("a text as a list", "{{ ('a' * 1000000) | list }}"),
        Attack("lines", "{{ ('\\n' * 1000000).splitlines() }}"),
        Attack(
            "searches",
            "{% set t = 'a' * 4000000 %}{% set p = 'a' * 2000000 ~ 'b' %}"
                + "{% for i in range(1000) %}{{ p in t }}{% endfor %}"),
        Attack(
            "comparisons",
            doubling("[1]", "[ns.v, ns.v]", 18)
                + "{% for i in range(100000) %}{{ ns.v == ns.v }}{% endfor %}"),
        Attack("parentheses", repeated("{{ ", "(", "1", ")", " }}")),
        Attack("lists", repeated("{{ ", "[", "", "]", " }}")),
        Attack("blocks", repeated("", "{% if 1 %}", "", "{% endif %}", "")),
        Attack("brackets without an end", "{{ " + String(repeating: "[", count: 100_000)),
        Attack("signs", "{{ " + String(repeating: "-", count: 100_000) + "1 }}"),
        Attack("conditions", "{{ 1" + String(repeating: " if 1", count: 20_000) + " }}"),
        Attack("alternatives", "{{ 1" + String(repeating: " if 0 else 1", count: 20_000) + " }}"),
        Attack("too many nodes", String(repeating: "{{1}}", count: 50_001)),
        Attack("too long", String(repeating: "x", count: 256 * 1024 + 1)),
        Attack("targets", "{% set " + String(repeating: "(", count: 20_000) + " %}"),
        Attack(
            "a namespace that holds itself", "{% set n = namespace() %}{% set n.n = n %}{{ n }}"),
        Attack("slices", "{{ [1, 2][::0] }}"),
    ]

    private static func loops(_ body: String, depth: Int) -> String {
        String(repeating: "{% for i in range(100000) %}", count: depth) + body
            + String(repeating: "{% endfor %}", count: depth)
    }

    private static func doubling(_ start: String, _ step: String, _ count: Int) -> String {
        "{% set ns = namespace(v=\(start)) %}{% for i in range(\(count)) %}"
            + "{% set ns.v = \(step) %}{% endfor %}{{ ns.v | tojson | length }}"
    }

    private static func repeated(
        _ begin: String, _ open: String, _ body: String, _ close: String, _ end: String
    ) -> String {
        let count = 10_000
        return begin + String(repeating: open, count: count) + body
            + String(repeating: close, count: count) + end
    }

    @Test("A template without an end ends with a sentence", arguments: attacks)
    func attack(attack: Attack) throws {
        var limits = TemplateLimits()
        // A debug build takes its time.
        limits.stepsMax = 300_000
        let error = #expect(throws: TemplateError.self) {
            try TemplateFixtures.render(attack.source, nil, limits)
        }
        #expect(error?.message.isEmpty == false)
    }

    @Test(
        "Large and odd numbers where positions are expected do no harm",
        arguments: [
            "[9223372036854775807]", "[-9223372036854775807 - 1]", "[::9223372036854775807]",
            "[::-9223372036854775807 - 1]", "[9223372036854775807:-9223372036854775807 - 1]",
            "[-9223372036854775807 - 1:9223372036854775807:9223372036854775807]",
            "[9223372036854775807::-9223372036854775807]", "[true:]", "[1.5]", "[none]", "['x']",
            "[:0]", "[5:1]", "[-1:-2]", "[0:0:-1]",
        ])
    func positions(subscript: String) {
        for value in ["[1, 2, 3]", "(1, 2)", "'héllo'", "''", "[]", "{}", "5", "none"] {
            _ = try? TemplateFixtures.render("{{ \(value)\(`subscript`) }}")
        }
    }

    @Test("Chains of 1,000 operators, filters and attributes are no nesting")
    func chains() throws {
        func chain(_ start: String, _ link: String) -> String {
            "{{ " + start + String(repeating: link, count: 1000) + " }}"
        }
        #expect(try TemplateFixtures.render(chain("1", " + 1")).string == "1001")
        #expect(try TemplateFixtures.render(chain("1", " ~ 1")).count == 1001)
        #expect(try TemplateFixtures.render(chain("'a'", " | trim")).string == "a")
        #expect(try TemplateFixtures.render(chain("false", " or 1")).string == "1")
        #expect(try TemplateFixtures.render(chain("'a'", "[0]")).string == "a")
        #expect(try TemplateFixtures.render(chain("1", " == 1")).string == "True")
        let elifs = String(repeating: "{% elif 0 %}", count: 1000)
        #expect(
            try TemplateFixtures.render("{% if 0 %}\(elifs){% else %}x{% endif %}").string == "x")
    }

    @Test("Templates changed by chance are read and run, or refused, and never trap")
    func fuzz() {
        var random = Random(state: 20_260_801)
        var sources = TemplateFixtures.names.map { Array(TemplateFixtures.source($0).utf8) }
        sources += TemplateFixtures.language.map { Array($0.source.utf8) }
        let variables = TemplateFixtures.prompts.map(\.variables)
        var limits = TemplateLimits()
        limits.stepsMax = 5000
        var rendered = 0
        for round in 0..<4000 {
            var source = sources[random.below(sources.count)]
            for _ in 0...random.below(4) { mutate(&source, sources, &random) }
            let text = String(decoding: source, as: UTF8.self)
            guard let program = try? TemplateParser.program(of: text, limits) else { continue }
            let values = variables[round % variables.count]
            if (try? TemplateEvaluator.render(program, values, limits)) != nil { rendered += 1 }
        }
        // Else it would not have looked at the evaluator.
        #expect(rendered > 100)
    }

    private static let pieces = [
        "{{", "}}", "{%", "%}", "{#", "#}", "-%}", "{{-", " if ", " else ", " not ", " in ", " is ",
        "(", ")", "[", "]", "{", "}", ":", ",", "|", ".", "~", "**", "//", "%", "'", "\"", "\\",
        "9223372036854775807", "-1", "0", "1.5", "none", "true", "messages", "loop.index0",
        "tojson", "items", "namespace()", "range(3)", "[::-1]", "| length", "| list", "| sort",
        "| first", ".split('a')", ".strip()", "{% endif %}", "{% endfor %}", "{% break %}",
        "{% for x in messages %}", "{% set ns.x = ", "{% macro f(a=1) %}", "{% endmacro %}", "f()",
        "{% raw %}", "\r\n", "é", "\u{0}", "\u{2028}", "<|im_end|>",
    ].map { Array($0.utf8) }

    private func mutate(_ source: inout [UInt8], _ others: [[UInt8]], _ random: inout Random) {
        let start = random.below(source.count + 1)
        let end = min(source.count, start + random.below(12))
        switch random.below(5) {
        case 0: source.removeSubrange(start..<end)
        case 1: source.insert(contentsOf: Array(source[start..<end]), at: start)
        case 2:
            for place in start..<end { source[place] = UInt8(random.below(256)) }
        case 3:
            let other = others[random.below(others.count)]
            let from = random.below(other.count + 1)
            source.insert(
                contentsOf: other[from..<min(other.count, from + random.below(40))], at: start)
        default:
            source.replaceSubrange(
                start..<end, with: Self.pieces[random.below(Self.pieces.count)])
        }
    }
}
