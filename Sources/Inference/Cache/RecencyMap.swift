/// A dictionary that knows in what order its values were last used. Every operation takes the same
/// time, however many there are: values stand in slots that are linked both ways.
struct RecencyMap<Key: Hashable, Value> {
    private struct Slot {
        var key: Key
        var value: Value
        var older: Int?
        var newer: Int?
    }

    private var places: [Key: Int] = [:]
    private var slots: [Slot?] = []
    private var free: [Int] = []
    private var oldest: Int?
    private var newest: Int?

    var count: Int { places.count }
    /// All of them, in no order.
    var entries: [(key: Key, value: Value)] {
        slots.compactMap { slot in slot.map { ($0.key, $0.value) } }
    }

    /// The value, which is now the one used last.
    mutating func use(_ key: Key) -> Value? {
        guard let place = places[key], let slot = slots[place] else { return nil }
        unlink(place)
        link(place)
        return slot.value
    }

    /// Returns the value that was there before.
    @discardableResult
    mutating func insert(_ value: Value, for key: Key) -> Value? {
        let earlier = remove(key)
        let slot = Slot(key: key, value: value)
        let place: Int
        if let reused = free.popLast() {
            place = reused
            slots[place] = slot
        } else {
            place = slots.count
            slots.append(slot)
        }
        places[key] = place
        link(place)
        return earlier
    }

    @discardableResult
    mutating func remove(_ key: Key) -> Value? {
        guard let place = places.removeValue(forKey: key) else { return nil }
        unlink(place)
        defer {
            slots[place] = nil
            free.append(place)
        }
        return slots[place]?.value
    }

    /// Takes out what was not used for longest.
    mutating func removeOldest() -> Value? { takeOldest()?.value }

    mutating func takeOldest() -> (key: Key, value: Value)? {
        guard let oldest, let key = slots[oldest]?.key, let value = remove(key) else { return nil }
        return (key, value)
    }

    private mutating func link(_ place: Int) {
        slots[place]?.older = newest
        slots[place]?.newer = nil
        if let newest { slots[newest]?.newer = place } else { oldest = place }
        newest = place
    }

    private mutating func unlink(_ place: Int) {
        let (older, newer) = (slots[place]?.older, slots[place]?.newer)
        if let older { slots[older]?.newer = newer } else { oldest = newer }
        if let newer { slots[newer]?.older = older } else { newest = older }
    }
}
