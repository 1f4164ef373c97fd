import Testing

@testable import Inference

struct RecencyMapTests {
    @Test("What was used longest ago goes first, whatever was put in, used and taken out between")
    func order() {
        var map = RecencyMap<String, Int>()
        #expect(map.removeOldest() == nil)
        for (number, key) in ["a", "b", "c", "d"].enumerated() { map.insert(number, for: key) }
        #expect(map.use("a") == 0)
        #expect(map.insert(7, for: "b") == 1)
        #expect(map.remove("d") == 3)
        #expect(map.remove("d") == nil && map.use("d") == nil)
        map.insert(9, for: "e")
        #expect(map.count == 4)
        #expect((0..<5).map { _ in map.removeOldest() } == [2, 0, 7, 9, nil])
        #expect(map.count == 0)
    }

    @Test("It agrees with a list kept by hand over thousands of random steps")
    func model() {
        var generator = SystemRandomNumberGenerator()
        var map = RecencyMap<Int, Int>()
        var list: [(key: Int, value: Int)] = []
        for step in 0..<5000 {
            let key = Int.random(in: 0..<20, using: &generator)
            let place = list.firstIndex { $0.key == key }
            switch Int.random(in: 0..<4, using: &generator) {
            case 0:
                #expect(map.use(key) == place.map { list[$0].value })
                if let place { list.append(list.remove(at: place)) }
            case 1:
                map.insert(step, for: key)
                if let place { list.remove(at: place) }
                list.append((key, step))
            case 2:
                #expect(map.remove(key) == place.map { list.remove(at: $0).value })
            default:
                let oldest = list.isEmpty ? nil : list.removeFirst().value
                #expect(map.removeOldest() == oldest)
            }
            #expect(map.count == list.count)
        }
    }
}
