import Core
import OrderedJSON
import Testing

@testable import LocalModels

@Suite("Templates")
struct TemplateTests {
    @Test("The language is Jinja's, refusals included", arguments: TemplateFixtures.language)
    func language(item: TemplateFixtures.LanguageCase) {
        var text: String?
        do {
            text = try TemplateFixtures.render(item.source, item.variables).string
        } catch {
            #expect(!error.message.isEmpty && error.line >= 0)
        }
        #expect(text == item.text)
    }

    @Test("Models' templates make the prompts that jinja2 makes", arguments: TemplateFixtures.names)
    func prompts(name: String) throws {
        let program = try TemplateParser.program(of: TemplateFixtures.source(name))
        let cases = TemplateFixtures.prompts.filter { $0.template == name }
        #expect(cases.count >= 18)
        for item in cases {
            let prompt = try? TemplateEvaluator.render(
                program, item.variables, now: TemplateFixtures.now)
            #expect(prompt?.string == item.prompt, "\(item)")
        }
    }

    struct Refusal: CustomStringConvertible, Sendable {
        let source: String
        let line: Int
        let says: String
        var description: String { source }
    }

    @Test(
        "What is not supported is named with its line when the template is read",
        arguments: [
            Refusal(source: "a\n\n{% include 'x' %}", line: 3, says: "{% include %}"),
            Refusal(source: "{% extends 'x' %}", line: 1, says: "{% extends %}"),
            Refusal(source: "{% do x %}", line: 1, says: "{% do %}"),
            Refusal(source: "{{ x\n | wordwrap }}", line: 2, says: "filter `wordwrap`"),
            Refusal(source: "\n{{ x is prime }}", line: 2, says: "test `is prime`"),
            Refusal(source: "{% for x in y recursive %}{% endfor %}", line: 1, says: "recursive"),
            Refusal(source: "{{ f(*x) }}", line: 1, says: "unpacking"),
            Refusal(source: "{{ varargs }}", line: 1, says: "varargs"),
            Refusal(source: "{% if a %}\n{% else %}\nb", line: 3, says: "{% endif %} is missing"),
            Refusal(source: "a\n{{ 'b }}", line: 2, says: "no closing quote"),
            Refusal(source: "{{ 1 +\n }}", line: 2, says: "unexpected }}"),
            Refusal(source: "{{ § }}", line: 1, says: "§"),
            Refusal(source: "{{ 99999999999999999999 }}", line: 1, says: "number"),
        ])
    func unsupported(refusal: Refusal) {
        let error = #expect(throws: TemplateError.self) {
            try TemplateParser.program(of: refusal.source)
        }
        #expect(error?.line == refusal.line)
        #expect(error?.message.contains(refusal.says) == true, "\(error?.message ?? "")")
    }

    @Test(
        "What is wrong while it runs is named with its line",
        arguments: [
            Refusal(source: "\n{{ x.y }}", line: 2, says: "`x`, undefined"),
            Refusal(source: "{{ 'a' + 1 }}", line: 1, says: "a text and a number"),
            Refusal(source: "{{ [].append(1) }}", line: 1, says: "changes a value"),
            Refusal(source: "{{ f(1) }}", line: 1, says: "`f`"),
            Refusal(source: "{{ 'a'.encode() }}", line: 1, says: "`encode`"),
            Refusal(source: "a\nb{{ raise_exception('my words') }}", line: 2, says: "my words"),
            Refusal(source: "{{ 9223372036854775807 + 1 }}", line: 1, says: "64 bits"),
            Refusal(source: "{{ 3037000500 * 3037000500 }}", line: 1, says: "64 bits"),
            Refusal(
                source: "{{ (-9223372036854775807 - 1) // -1 }}", line: 1, says: "64 bits"),
            Refusal(source: "{{ (-9223372036854775807 - 1) | abs }}", line: 1, says: "64 bits"),
            Refusal(source: "{{ 10 ** 19 }}", line: 1, says: "64 bits"),
            Refusal(source: "{{ 7 ** 9223372036854775807 }}", line: 1, says: "64 bits"),
            Refusal(source: "{{ 1 // 0 }}", line: 1, says: "divided by 0"),
            Refusal(source: "{{ 1.5 % 0 }}", line: 1, says: "divided by 0"),
            Refusal(source: "{% for x in 5 %}{% endfor %}", line: 1, says: "a number"),
            Refusal(source: "{{ namespace() }}", line: 1, says: "printed"),
        ])
    func wrong(refusal: Refusal) {
        let error = #expect(throws: TemplateError.self) {
            try TemplateFixtures.render(refusal.source)
        }
        #expect(error?.line == refusal.line)
        #expect(error?.message.contains(refusal.says) == true, "\(error?.message ?? "")")
    }

    /// Text with `q` comes from outside; no template here writes a `q` of its own.
    @Test(
        "What comes from outside stays untrusted, whatever a template does to it",
        arguments: [
            "{{ x }}", "{{ '<|' + x + '|>' }}", "{{ '<|' ~ x ~ 1 }}", "{{ x[1:-1] }}", "{{ x[2] }}",
            "{{ x[::-1] }}", "{{ x | trim }}", "{{ x.strip('<') }}", "{{ x | replace('|', '') }}",
            "{{ '-a-' | replace('a', x) }}", "{{ x | upper }}", "{{ x | title }}",
            "{{ x | capitalize }}", "{{ [x, 'a'] | join('<|') }}", "{{ x.split('|') | join('|') }}",
            "{{ x | tojson }}", "{{ {'a': [x]} | tojson(indent=2) }}", "{{ {x: 1} | tojson }}",
            "{{ [x] }}", "{{ {'a': x} }}", "{{ x | string }}", "{{ x | e }}", "{{ x | indent }}",
            "{{ '%s!' % x }}", "{{ '{}!'.format(x) }}", "{{ x * 3 }}", "{{ x | list }}",
            "{{ x | reverse }}", "{{ x | first + x | last }}",
            "{% for c in x %}{{ c }}{% endfor %}",
            "{% set y %}<|{{ x }}|>{% endset %}{{ y }}", "{% filter trim %} {{ x }}{% endfilter %}",
            "{% macro m(a) %}<|{{ a }}|>{% endmacro %}{{ m(x) + 'b' }}", "{{ x.split()[0] }}",
            "{% set ns = namespace(s='') %}{% for c in x %}{% set ns.s = ns.s + c %}{% endfor %}"
                + "{{ ns.s }}",
            "{{ [x] | map('upper') | list | sort | first }}", "{{ (x if x else 'a') }}",
            "{{ x | default('a') }}", "{{ {'k': x}.items() | list }}", "{{ x.splitlines()[0] }}",
            "{{ '<|im_start|>'.replace('im_start', x) }}", "{{ dict(a=x).a }}",
        ])
    func provenance(source: String) throws {
        let content = JSONValue.object([JSONValue.Member("x", .string("<|qé|> <|im_end|q"))])
        let text = try TemplateFixtures.render(source, content)
        let trusted = text.segments.filter(\.isTrusted).map(\.text).joined()
        let outside = text.segments.filter { !$0.isTrusted }.map(\.text).joined()
        #expect(!trusted.contains { "qQé".contains($0) } && !trusted.contains("im_end"))
        #expect(!outside.isEmpty)
        #expect(text.segments.map(\.text).joined() == text.string)
    }

    @Test("What a template writes is trusted, up to the byte where outside text begins")
    func ownText() throws {
        let content = JSONValue.object([JSONValue.Member("x", .string("<|im_end|>"))])
        let text = try TemplateFixtures.render(
            "{{ ('<|im_' + 'start|>' + ' user ' | trim) ~ '\n' + x + '<|im_end|>' ~ 1 }}", content)
        #expect(
            text.segments == [
                TextSegment("<|im_start|>user\n", isTrusted: true),
                TextSegment("<|im_end|>", isTrusted: false),
                TextSegment("<|im_end|>1", isTrusted: true),
            ])
    }

    @Test("A moment is told as strftime tells it, leap days and years before 1970 too")
    func time() throws {
        let cases: [(Int64, String)] = [
            (0, "1970-01-01 Thu 001"), (951_782_400, "2000-02-29 Tue 060"),
            (1_709_251_199, "2024-02-29 Thu 060"), (-1, "1969-12-31 Wed 365"),
            (4_107_542_400, "2100-03-01 Mon 060"), (-2_203_977_600, "1900-02-28 Wed 059"),
            (1_735_603_200, "2024-12-31 Tue 366"),
        ]
        for (seconds, expected) in cases {
            #expect(try TemplateTime(secondsSince1970: seconds).text("%Y-%m-%d %a %j") == expected)
        }
        let noon = TemplateTime(secondsSince1970: TemplateFixtures.now)
        #expect(try noon.text("%-d %B %y, %I:%M:%S %p %%") == "1 August 26, 12:00:00 PM %")
        for extreme in [Int64.min, .max] {
            #expect(
                try !TemplateTime(secondsSince1970: extreme).text("%c".dropLast() + "Y").isEmpty)
        }
    }
}
