import Core
import TestSupport
import Testing

@testable import LocalModels

@Suite("The memory of local models")
struct MemoryBudgetTests {
    @Test(
        "Sizes are read as people write them",
        arguments: [
            ("", nil), ("0", nil), ("0 GiB", nil), ("1024", 1024), ("2GiB", 2 << 30),
            ("800 MiB", 800 << 20), ("1.5g", 3 << 29), ("1_000kb", 1_000_000), ("1TB", 1 << 40),
        ] as [(String, Int?)])
    func sizes(text: String, bytes: Int?) throws {
        // Powers of ten without the i.
        let expected = text == "1TB" ? 1_000_000_000_000 : bytes
        #expect(try MemoryBudget.bytes(of: text) == expected)
    }

    @Test(
        "What is no size is refused",
        arguments: ["-1", "many", "1.2.3GiB", "GiB", "1 PiB", "99999999999TiB", "nan", "1e400"])
    func noSizes(text: String) {
        #expect(throws: Failure.self) { try MemoryBudget.bytes(of: text) }
    }

    @Test("No more is taken than there is")
    func taking() {
        let budget = MemoryBudget(bytes: 10)
        #expect(budget.take(7))
        #expect(!budget.take(4))
        #expect(!budget.take(-1))
        #expect(!budget.take(.max))
        #expect(!budget.takeSpare(1))
        budget.giveBack(7)
        #expect(!budget.takeSpare(6))
        #expect(budget.takeSpare(5))
        budget.giveBack(5)
        #expect(budget.take(10))
        #expect(budget.leftBytes == 0)
    }

    @Test("The machine's memory is known")
    func machine() { #expect(MemoryBudget.ofMachine().bytes > 1 << 26) }

    @Test("A model that one conversation does not fit into is refused with the numbers")
    func refusal() throws {
        let file = MappedModel(name: "tiny.gguf", copying: TinyModel.writer().bytes())
        let options = LocalModelOptions(threads: 1, memory: MemoryBudget(bytes: 1 << 20))
        let failure = #expect(throws: Failure.self) { try LocalChatModel(file, options: options) }
        #expect(failure?.code == .unavailable)
        for part in ["tiny", "128 tokens", "1 MiB", "inference.local.memory"] {
            #expect(failure?.message.contains(part) == true, "\(failure?.message ?? "")")
        }
        #expect(options.memory.leftBytes == 1 << 20)
    }

    @Test("Models share what is allowed, and give it back when they go")
    func sharing() async throws {
        let file = MappedModel(name: "tiny.gguf", copying: TinyModel.writer().bytes())
        let memory = MemoryBudget(bytes: 6 << 20)
        var models: [LocalChatModel] = []
        while let model = try? LocalChatModel(
            file, options: LocalModelOptions(threads: 1, memory: memory))
        {
            models.append(model)
        }
        #expect(models.count >= 1)
        #expect(memory.leftBytes < memory.bytes / models.count)
        models = []
        #expect(await eventually { memory.leftBytes == memory.bytes })
    }
}
