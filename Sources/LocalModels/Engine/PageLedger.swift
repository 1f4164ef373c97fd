/// Who owns which page of keys and values, and what was read into it.
///
/// Pages form a tree by the tokens that were read into them: a page's parent holds the tokens
/// before its own. A new prompt walks down from the root as far as the tokens are the same, and
/// owns the pages on its way together with everybody else who came that way, running or ended. (The
/// radix tree of SGLang with the fixed blocks of vLLM, https://arxiv.org/abs/2312.07104 and
/// https://arxiv.org/abs/2309.06180. Tokens are compared, nothing is hashed.)
///
/// Pages that nobody owns any more stay as a cache until their room is needed, the least recently
/// used first. A holding is promised all pages that it may need when it begins, and never loses one.
struct PageLedger {
    /// What one sequence owns, and may come to own.
    struct Holding {
        fileprivate(set) var pages: [Int32] = []
        /// How many tokens its pages hold.
        fileprivate(set) var count = 0
        fileprivate let pagesMax: Int
    }

    struct Beginning {
        let holding: Holding
        /// A page to copy to another before anything else is read or copied.
        let copy: (from: Int32, to: Int32)?
    }

    private struct Page {
        /// `none` for the first page of a sequence.
        var parent = PageLedger.none
        /// What was read into it. Only a full page has children.
        var tokens: [Int32] = []
        var children: [Int32] = []
        var owners = 0
        // Its neighbours among those that nobody owns.
        var older = PageLedger.none
        var newer = PageLedger.none
    }

    static let none: Int32 = -1

    /// How many pages may be in use, cached ones included.
    private(set) var limit: Int
    /// How many have an owner.
    private(set) var ownedCount = 0
    /// How many are promised to holdings that do not own them yet.
    private(set) var promisedCount = 0
    /// How many nobody owns and are kept for whoever comes with the same tokens.
    private(set) var cachedCount = 0

    private let positions: Int
    private var pages: [Page] = []
    let pagesMax: Int
    private var roots: [Int32] = []
    private var unused: [Int32] = []
    private var oldest = Self.none
    private var newest = Self.none

    /// Pages are numbered below `pagesMax`, which `limit` may be raised to.
    init(pagesMax: Int, limit: Int, positions: Int = KeyValuePages.positions) {
        self.pagesMax = pagesMax
        self.limit = min(limit, pagesMax)
        self.positions = positions
    }

    /// How many pages a sequence of so many tokens has.
    func pages(for tokens: Int) -> Int { max(1, (tokens + positions - 1) / positions) }

    var usedCount: Int { ownedCount + cachedCount }

    /// Raises the limit, by `count` or as far as there are pages.
    mutating func raiseLimit(by count: Int) { limit = min(pagesMax, limit + count) }

    /// How far the limit would have to be raised for a holding to begin: at least, and so that
    /// nothing cached has to go.
    func shortage(_ prompt: [Int32], tokensMax: Int) -> (least: Int, comfortable: Int) {
        let match = match(prompt)
        let owned = match.pages.count { pages[Int($0)].owners > 0 }
        let wanted = pages(for: tokensMax) - owned
        let promised = ownedCount + promisedCount + wanted
        let cached = cachedCount - (match.pages.count - owned)
        return (promised - limit, promised + cached - limit)
    }

    /// How many tokens of a prompt a holding that begins now would hold.
    func countRead(of prompt: [Int32]) -> Int {
        let match = match(prompt)
        return match.pages.count * positions + (match.part?.common ?? 0)
    }

    /// A holding of a sequence that begins with `prompt` and gets no longer than `tokensMax`. It
    /// holds what of the prompt was read before, but never its last token: what follows that is
    /// asked for. Nil when there are not enough pages.
    mutating func begin(_ prompt: [Int32], tokensMax: Int) -> Beginning? {
        guard shortage(prompt, tokensMax: tokensMax).least <= 0 else { return nil }
        let match = match(prompt)
        var holding = Holding(pagesMax: pages(for: tokensMax))
        for page in match.pages { own(page) }
        holding.pages = match.pages
        holding.count = match.pages.count * positions
        promisedCount += holding.pagesMax - match.pages.count
        guard let (page, common) = match.part else { return Beginning(holding: holding, copy: nil) }

        let tokens = pages[Int(page)].tokens.prefix(common)
        if pages[Int(page)].owners == 0 {
            if common == pages[Int(page)].tokens.count {
                // It ends where we go on: nobody else needs it as it is.
                own(page)
                promisedCount -= 1
                holding.pages.append(page)
                holding.count += common
                return Beginning(holding: holding, copy: nil)
            }
            // So that the room for the copy is not made by giving it up, if anything else is left.
            unlink(page)
            link(page)
        }
        extend(&holding, by: 1)
        append(tokens, to: &holding)
        let copy = holding.pages[holding.pages.count - 1]
        return Beginning(holding: holding, copy: copy == page ? nil : (page, copy))
    }

    /// Gives a holding the pages to read `count` more tokens into.
    mutating func extend(_ holding: inout Holding, by count: Int) {
        let needed = pages(for: holding.count + count)
        precondition(needed <= holding.pagesMax, "A holding gets what it was promised.")
        while holding.pages.count < needed {
            holding.pages.append(allocate())
            promisedCount -= 1
        }
    }

    /// Notes what was read. Pages of the holding may then be others with the same tokens.
    mutating func append(_ tokens: ArraySlice<Int32>, to holding: inout Holding) {
        for token in tokens {
            let place = holding.count / positions
            let page = holding.pages[place]
            if holding.count % positions == 0 {
                let parent = place > 0 ? holding.pages[place - 1] : Self.none
                pages[Int(page)].parent = parent
                add(page, to: parent)
            }
            pages[Int(page)].tokens.append(token)
            holding.count += 1
            if holding.count % positions == 0 {
                holding.pages[place] = unify(page)
            }
        }
    }

    /// Gives all pages back. What was read into them is kept for others, unless it `isSpoilt`.
    mutating func end(_ holding: Holding, isSpoilt: Bool = false) {
        promisedCount -= holding.pagesMax - holding.pages.count
        // From the end, so that a page is always older than the one before it in the sequence.
        for page in holding.pages.reversed() {
            pages[Int(page)].owners -= 1
            guard pages[Int(page)].owners == 0 else { continue }
            ownedCount -= 1
            let isUseful = !pages[Int(page)].tokens.isEmpty && !isRepeated(page)
            if isUseful, !isSpoilt || !pages[Int(page)].children.isEmpty {
                link(page)
            } else {
                discard(page)
            }
        }
    }

    /// Gives up what nobody owns, and the room for it down to `limit`. Returns the pages whose
    /// memory nobody needs.
    mutating func clear(limit: Int) -> [Int32] {
        while oldest != Self.none { evict() }
        self.limit = max(min(limit, pagesMax), ownedCount + promisedCount)
        return unused
    }

    // MARK: The tree

    /// The full pages that a prompt has in common with what was read before, and the page that has
    /// some of the tokens after them.
    private func match(_ prompt: [Int32]) -> (pages: [Int32], part: (page: Int32, common: Int)?) {
        var matched: [Int32] = []
        var rest = prompt.dropLast()
        while true {
            let candidates = matched.last.map { pages[Int($0)].children } ?? roots
            var best: (page: Int32, common: Int)?
            for page in candidates {
                let common = common(pages[Int(page)].tokens, rest)
                if common > best?.common ?? 0 { best = (page, common) }
                if common == positions { break }
            }
            guard let best, best.common == positions else { return (matched, best) }
            matched.append(best.page)
            rest = rest.dropFirst(positions)
        }
    }

    private func common(_ tokens: [Int32], _ rest: ArraySlice<Int32>) -> Int {
        var count = 0
        while count < tokens.count, count < rest.count,
            tokens[count] == rest[rest.startIndex + count]
        {
            count += 1
        }
        return count
    }

    /// A page that is full now, or the one beside it that holds the same and takes its place.
    private mutating func unify(_ page: Int32) -> Int32 {
        let twin = siblings(page).first {
            $0 != page && pages[Int($0)].tokens == pages[Int(page)].tokens
        }
        guard let twin else { return page }
        own(twin)
        pages[Int(page)].owners = 0
        ownedCount -= 1
        discard(page)
        return twin
    }

    /// Whether a sibling begins with all that this page holds.
    private func isRepeated(_ page: Int32) -> Bool {
        siblings(page).contains {
            $0 != page && pages[Int($0)].tokens.starts(with: pages[Int(page)].tokens)
        }
    }

    private func siblings(_ page: Int32) -> [Int32] {
        let parent = pages[Int(page)].parent
        return parent == Self.none ? roots : pages[Int(parent)].children
    }

    private mutating func add(_ page: Int32, to parent: Int32) {
        if parent == Self.none {
            roots.append(page)
        } else {
            pages[Int(parent)].children.append(page)
        }
    }

    private mutating func remove(_ page: Int32, from parent: Int32) {
        if parent == Self.none {
            roots.removeAll { $0 == page }
        } else {
            pages[Int(parent)].children.removeAll { $0 == page }
        }
    }

    // MARK: Room

    private mutating func own(_ page: Int32) {
        if pages[Int(page)].owners == 0 {
            unlink(page)
            ownedCount += 1
        }
        pages[Int(page)].owners += 1
    }

    /// A page with one owner and nothing in it. There is one for everybody it was promised to.
    private mutating func allocate() -> Int32 {
        if usedCount >= limit { evict() }
        let page: Int32
        if let unused = unused.popLast() {
            page = unused
        } else {
            page = Int32(pages.count)
            pages.append(Page())
        }
        precondition(page < pagesMax, "Pages are promised only where there are some.")
        pages[Int(page)] = Page(owners: 1)
        ownedCount += 1
        return page
    }

    /// Gives up the page that was not used for the longest. No other hangs on it: whoever used one
    /// of its children used it too.
    private mutating func evict() {
        precondition(oldest != Self.none, "Pages are promised only where there are some.")
        let page = oldest
        unlink(page)
        discard(page)
    }

    /// Forgets what a page without owners held.
    private mutating func discard(_ page: Int32) {
        precondition(pages[Int(page)].children.isEmpty, "Pages go from the end of a sequence.")
        if !pages[Int(page)].tokens.isEmpty { remove(page, from: pages[Int(page)].parent) }
        pages[Int(page)] = Page()
        unused.append(page)
    }

    private mutating func link(_ page: Int32) {
        pages[Int(page)].older = newest
        pages[Int(page)].newer = Self.none
        if newest == Self.none { oldest = page } else { pages[Int(newest)].newer = page }
        newest = page
        cachedCount += 1
    }

    private mutating func unlink(_ page: Int32) {
        let (older, newer) = (pages[Int(page)].older, pages[Int(page)].newer)
        if older == Self.none { oldest = newer } else { pages[Int(older)].newer = newer }
        if newer == Self.none { newest = older } else { pages[Int(newer)].older = older }
        cachedCount -= 1
    }
}
