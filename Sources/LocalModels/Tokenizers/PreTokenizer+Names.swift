import Core

extension PreTokenizer {
    /// `name` is the file's `tokenizer.ggml.pre`. Throws `unsupported` for one that is not here.
    init(named name: String, in file: String) throws {
        guard let family = Self.families.first(where: { $0.names.contains(name) }) else {
            throw Failure(
                .unsupported,
                "\(file) cannot be run: it splits text the way of \"\(Shortcomings.printable(name))\". Known are "
                    + Self.families.flatMap(\.names).sorted().joined(separator: ", ") + ".")
        }
        self = family.rule
    }

    /// Every name that is known.
    static var names: [String] { families.flatMap(\.names) }

    /// Names as llama.cpp gives them, for the regular expressions of the models' own
    /// `tokenizer.json`, which are written above each. Where llama.cpp only comes near those, for
    /// marks and accented capitals in `tekken` and `gpt-4o` and for U+3000 in the two oldest of
    /// DeepSeek, what the models were trained with is followed.
    private static let families: [(names: [String], rule: PreTokenizer)] = [
        (["default"], ofUnknown),
        (
            [
                "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4",
                "gigachat", "a.x-4.0", "mellum",
            ], PreTokenizer([gpt2])
        ),
        (
            [
                "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b",
                "mellum2",
            ], PreTokenizer([digits(atMost: 1), gpt2])
        ),
        (["falcon"], falcon),
        (
            [
                "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0",
                "lfm2",
            ],
            PreTokenizer([words(digitsAtMost: 3)], ignoresMerges: true, addsBegin: true)
        ),
        (
            ["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"],
            PreTokenizer([words(digitsAtMost: 3)])
        ),
        (
            ["minicpm5"],
            PreTokenizer(
                [digits(atMost: 3), words(digitsAtMost: .max)], ignoresMerges: true)
        ),
        (
            [
                "qwen2", "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "kormo", "f2llmv2",
                "solar-open", "grok-2",
            ], PreTokenizer([words(digitsAtMost: 1)])
        ),
        (["qwen35"], qwen35),
        (["bailingmoe", "bailingmoe2", "llada-moe"], PreTokenizer([words(digitsAtMost: 1)])),
        (["seed-coder"], seedCoder),
        (["tekken"], tekken),
        (["gpt-4o", "llama4", "kanana2", "minimax-m2"], gpt4o),
        (["deepseek-llm"], deepSeek),
        (["deepseek-coder"], deepSeekCoder),
        (["deepseek-v3", "hunyuan-dense", "joyai-llm"], deepSeek3),
    ]

    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    private static let gpt2: [Rule] = [
        .contraction(ignoresCase: false),
        .run(before: .blank, of: .letter),
        .run(before: .blank, of: .number),
        .run(before: .blank, of: .not(.space, .letter, .number)),
        .spacesBeforeLast,
        .run(of: .space),
    ]

    /// `\p{N}`, or `\p{N}{1,3}`
    private static func digits(atMost: Int) -> [Rule] { [.run(of: .number, atMost: atMost)] }

    /// Llama 3's, and Qwen's with single digits:
    ///
    ///     (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}
    ///     | ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
    private static func words(digitsAtMost: Int) -> [Rule] {
        [
            .contraction(ignoresCase: true),
            .run(before: .not(.lineEnd, .letter, .number), of: .letter),
            .run(of: .number, atMost: digitsAtMost),
            .run(before: .blank, of: .not(.space, .letter, .number), then: .lineEnd),
            .lineEnds,
            .spacesBeforeLast,
            .run(of: .space),
        ]
    }

    /// Qwen's, in which marks belong to words:
    ///
    ///     (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}
    ///     | ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
    private static let qwen35 = PreTokenizer([
        [
            .contraction(ignoresCase: true),
            .run(before: .not(.lineEnd, .letter, .number), of: [.letter, .mark]),
            .run(of: .number, atMost: 1),
            .run(before: .blank, of: .not(.space, .letter, .mark, .number), then: .lineEnd),
            .lineEnds,
            .spacesBeforeLast,
            .run(of: .space),
        ]
    ])

    /// Qwen's with ` ?[^\s\p{L}\p{N}\r\n]+` for what is neither letter nor number.
    private static let seedCoder = PreTokenizer([
        [
            .contraction(ignoresCase: true),
            .run(before: .not(.lineEnd, .letter, .number), of: .letter),
            .run(of: .number, atMost: 1),
            .run(before: .blank, of: .not(.space, .letter, .number)),
            .lineEnds,
            .spacesBeforeLast,
            .run(of: .space),
        ]
    ])

    /// Mistral's, words as `casedWord` says and then
    /// `|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
    private static let tekken = PreTokenizer(
        [casedWords(digitsAtMost: 1, contractions: false)], ignoresMerges: true, addsBegin: true)

    /// The same with `(?i:'s|'t|'re|'ve|'m|'ll|'d)?` after words and `\p{N}{1,3}`: o200k.
    private static let gpt4o = PreTokenizer([casedWords(digitsAtMost: 3, contractions: true)])

    private static func casedWords(digitsAtMost: Int, contractions: Bool) -> [Rule] {
        [
            .casedWord(
                before: .not(.lineEnd, .letter, .number), endsWithContraction: contractions),
            .run(of: .number, atMost: digitsAtMost),
            .run(before: .blank, of: .not(.space, .letter, .number), then: [.lineEnd, .slash]),
            .lineEnds,
            .spacesBeforeLast,
            .run(of: .space),
        ]
    }

    /// ``[\p{P}$+<=>^~|`]+``, then GPT-2's, then `[0-9][0-9][0-9]`
    private static let falcon = PreTokenizer([
        [.run(of: [.punctuation, .symbolASCII, .backtick])], gpt2, threeDigits,
    ])

    /// `[\p{P}$+<=>^~|]+`, then GPT-2's, then `\p{N}+`, then `[0-9][0-9][0-9]`: what llama.cpp does
    /// with files that do not say.
    private static let ofUnknown = PreTokenizer([
        [.run(of: [.punctuation, .symbolASCII])], gpt2, [.run(of: .number)], threeDigits,
    ])

    private static let threeDigits: [Rule] = [.run(of: .digit, atLeast: 3, atMost: 3)]

    /// `[\r\n]`, then `\s?[A-Za-z...]+`, then `\s?[!-/:-~！-／：-～‘-‟　-。]+`, then `\s+$`, then
    /// `[一-龥ࠀ-一가-퟿]+`, then `\p{N}+`
    private static let deepSeek = PreTokenizer(
        [
            [.run(of: .lineEnd, atMost: 1)],
            [.run(before: .space, of: .extra0)],
            [.run(before: .space, of: .extra1)],
            [.spacesAtEnd],
            [.run(of: .extra2)],
            [.run(of: .number)],
        ], extras: [deepSeekLetters, deepSeekPunctuation, deepSeekScripts])

    /// `[\r\n]`, then `\s?\p{L}+`, then `\s?\p{P}+`, then `[一-龥ࠀ-一가-퟿]+`, then `\p{N}`
    private static let deepSeekCoder = PreTokenizer(
        [
            [.run(of: .lineEnd, atMost: 1)],
            [.run(before: .space, of: .letter)],
            [.run(before: .space, of: .punctuation)],
            [.run(of: .extra0)],
            digits(atMost: 1),
        ], extras: [deepSeekScripts])

    /// `\p{N}{1,3}`, then `[一-龥぀-ゟ゠-ヿ]+`, then
    ///
    ///     [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+
    ///     | ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
    private static let deepSeek3 = PreTokenizer(
        [
            digits(atMost: 3),
            [.run(of: .extra0)],
            [
                .run(before: .markASCII, isRequired: true, of: .letterASCII),
                .run(
                    before: .not(.lineEnd, .letter, .punctuation, .symbol), of: [.letter, .mark]),
                .run(before: .blank, of: [.punctuation, .symbol], then: .lineEnd),
                .lineEnds,
                .spacesBeforeLast,
                .run(of: .space),
            ],
        ], extras: [[0x4E00...0x9FA5, 0x3040...0x30FF]])

    private static let deepSeekScripts: [ClosedRange<UInt32>] = [
        0x800...0x9FA5, 0xAC00...0xD7FF,
    ]

    private static let deepSeekPunctuation: [ClosedRange<UInt32>] = [
        0x21...0x2F, 0x3A...0x7E, 0xFF01...0xFF0F, 0xFF1A...0xFF5E, 0x2018...0x201F,
        0x3000...0x3002,
    ]

    /// Letters of the scripts that have cases.
    private static let deepSeekLetters: [ClosedRange<UInt32>] = [
        0x41...0x5A, 0x61...0x7A, 0xB5...0xB5, 0xC0...0xD6, 0xD8...0xF6, 0xF8...0x1BA,
        0x1BC...0x1BF, 0x1C4...0x293, 0x295...0x2AF, 0x370...0x373, 0x376...0x377, 0x37B...0x37D,
        0x37F...0x37F, 0x386...0x386, 0x388...0x38A, 0x38C...0x38C, 0x38E...0x3A1, 0x3A3...0x3F5,
        0x3F7...0x481, 0x48A...0x52F, 0x531...0x556, 0x10A0...0x10C5, 0x13A0...0x13F5,
        0x13F8...0x13FD, 0x1C90...0x1CBA, 0x1CBD...0x1CBF, 0x1D00...0x1D2B, 0x1D6B...0x1D77,
        0x1D79...0x1D9A, 0x1E00...0x1F15, 0x1F18...0x1F1D, 0x1F20...0x1F45, 0x1F48...0x1F4D,
        0x1F50...0x1F57, 0x1F59...0x1F59, 0x1F5B...0x1F5B, 0x1F5D...0x1F5D, 0x1F5F...0x1F7D,
        0x1F80...0x1FB4, 0x1FB6...0x1FBC, 0x1FBE...0x1FBE, 0x1FC2...0x1FC4, 0x1FC6...0x1FCC,
        0x1FD0...0x1FD3, 0x1FD6...0x1FDB, 0x1FE0...0x1FEC, 0x1FF2...0x1FF4, 0x1FF6...0x1FFC,
        0x2102...0x2102, 0x2107...0x2107, 0x210A...0x2113, 0x2115...0x2115, 0x2119...0x211D,
        0x2124...0x2124, 0x2126...0x2126, 0x2128...0x2128, 0x212A...0x212D, 0x212F...0x2134,
        0x2139...0x2139, 0x213C...0x213F, 0x2145...0x2149, 0x214E...0x214E, 0x2183...0x2184,
        0x2C00...0x2C7B, 0x2C7E...0x2CE4, 0x2CEB...0x2CEE, 0x2CF2...0x2CF3, 0xA640...0xA66D,
        0xA680...0xA69B, 0xA722...0xA76F, 0xA771...0xA787, 0xA78B...0xA78E, 0xAB70...0xABBF,
        0xFB00...0xFB06, 0xFB13...0xFB17, 0xFF21...0xFF3A, 0xFF41...0xFF5A, 0x10400...0x1044F,
        0x104B0...0x104D3, 0x104D8...0x104FB, 0x10C80...0x10CB2, 0x10CC0...0x10CF2,
        0x118A0...0x118DF, 0x1E900...0x1E943,
    ]
}
