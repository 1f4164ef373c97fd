/// The best rows seen so far, at most `limit` of them, in a heap whose root is the worst: a row that
/// is not among the best costs one comparison.
struct TopRows {
    struct Row: Equatable, Sendable {
        let index: Int
        let score: Float

        /// Equal scores go by place, so that the best 10 are always the first 10 of the best 20.
        func isWorse(than other: Row) -> Bool {
            score == other.score ? index > other.index : score < other.score
        }
    }

    private var heap: [Row] = []
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
        heap.reserveCapacity(limit)
    }

    mutating func offer(_ index: Int, score: Float) {
        // A vector that is not a number must not win by comparing false with everything.
        guard limit > 0, score.isFinite else { return }
        let row = Row(index: index, score: score)
        if heap.count < limit {
            heap.append(row)
            siftUp(heap.count - 1)
        } else if heap[0].isWorse(than: row) {
            heap[0] = row
            siftDown(0)
        }
    }

    /// What a row must reach to be taken; nil while there is room.
    var threshold: Float? { heap.count < limit ? nil : heap.first?.score }

    /// Best first.
    var sorted: [Row] { heap.sorted { $1.isWorse(than: $0) } }

    private mutating func siftUp(_ start: Int) {
        var place = start
        while place > 0 {
            let parent = (place - 1) / 2
            guard heap[place].isWorse(than: heap[parent]) else { return }
            heap.swapAt(place, parent)
            place = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var place = start
        while true {
            var worst = place
            for child in [2 * place + 1, 2 * place + 2] where child < heap.count {
                if heap[child].isWorse(than: heap[worst]) { worst = child }
            }
            guard worst != place else { return }
            heap.swapAt(place, worst)
            place = worst
        }
    }
}
