/// The words that traits are told by.
extension QuestionTraits {
    static let numberWords: [String: String] = [
        "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
        "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
        "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50", "hundred": "100",
        "thousand": "1000", "million": "1000000", "billion": "1000000000", "half": "1/2",
        "double": "2x", "triple": "3x", "twice": "2x", "once": "1x", "first": "1st",
        "second": "2nd", "third": "3rd", "last": "last", "dozen": "12", "both": "2", "all": "all",
        "none": "0", "few": "few", "most": "most",
    ]
    static let dateWords: Set<String> = [
        "today", "tomorrow", "yesterday", "tonight", "now", "currently", "current", "latest",
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january",
        "february", "march", "april", "may", "june", "july", "august", "september", "october",
        "november", "december", "day", "week", "month", "year", "weekend", "morning", "evening",
        "noon", "midnight", "ago", "daily", "weekly", "monthly", "yearly", "annual",
    ]
    static let negationWords: Set<String> = [
        "not", "no", "never", "without", "nor", "neither", "nobody", "nothing", "nowhere",
        "cannot", "cant", "dont", "doesnt", "isnt", "wont", "except", "excluding", "unless",
        "hardly", "false", "wrong", "incorrect", "impossible", "unable", "illegal", "unsafe",
        "invalid",
    ]
    static let questionWords: Set<String> = [
        "who", "whom", "whose", "what", "which", "when", "where", "why", "how",
    ]
    static let directionWords: Set<String> = [
        "more", "less", "fewer", "before", "after", "above", "below", "over", "under", "up",
        "down", "in", "out", "on", "off", "from", "to", "into", "left", "right", "north", "south",
        "east", "west", "big", "small", "bigger", "smaller", "biggest", "smallest", "large",
        "larger", "largest", "high", "low", "higher", "lower", "highest", "lowest", "maximum",
        "minimum", "max", "min", "increase", "decrease", "increases", "decreases", "enable",
        "disable", "start", "stop", "open", "close", "buy", "sell", "add", "remove", "best",
        "worst", "better", "worse", "good", "bad", "fast", "slow", "faster", "slower", "fastest",
        "slowest", "old", "new", "older", "newer", "oldest", "newest", "hot", "cold", "always",
        "sometimes", "allow", "deny", "import", "export", "encode", "decode", "encrypt", "decrypt",
        "win", "lose", "true", "pros", "cons", "advantages", "disadvantages", "benefits", "risks",
        "ascending", "descending", "input", "output", "upload", "download", "install",
        "uninstall", "love", "hate", "same", "different", "similar", "like", "unlike", "with",
        "and", "or", "should", "must",
    ]
    static let openingWords: Set<String> = [
        "a", "an", "the", "is", "are", "was", "were", "do", "does", "did", "has", "have", "had",
        "will", "would", "please", "tell", "give", "show", "explain", "describe", "name",
        "list", "find", "define", "say", "be", "being", "been", "me", "i", "us", "them", "him",
        "help", "hello", "hi", "hey", "thanks", "my", "your", "our", "their", "his", "her", "its",
        "this", "that", "these", "those", "there", "if", "for", "at", "by", "of", "about", "it",
        "we", "you", "he", "she", "they", "let", "so", "but", "because", "use", "any", "some",
        "also", "then", "as", "am", "suggest", "provide", "think", "ok", "yes", "well", "answer",
        "can", "could", "exactly", "simply", "briefly", "really", "just", "kindly",
    ]
    /// With which a question begins that is answered by yes or no.
    static let auxiliaryWords: Set<String> = [
        "is", "are", "was", "were", "am", "do", "does", "did", "has", "have", "had", "will",
        "would", "can", "could", "may", "might", "shall",
    ]
    /// What is done with a text or a number, beside telling about it.
    static let taskWords: Set<String> = [
        "write", "translate", "summarise", "summarize", "compare", "create", "generate",
        "calculate", "convert", "sort", "solve", "count", "rewrite", "correct", "fix", "rank",
        "draw", "play", "simulate", "review", "check", "prove", "guess", "rephrase", "shorten",
        "expand", "classify", "extract", "make", "plan", "compute", "multiply", "divide", "round",
    ]
    /// Of which the answer is soon another.
    static let nowWords: Set<String> = [
        "today", "tomorrow", "yesterday", "tonight", "now", "currently", "current", "latest", "ago",
    ]
}
