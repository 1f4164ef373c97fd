import ArgumentParser
import Core
import Egress
import Foundation
import Inference

struct ModelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models", abstract: "List, fetch, inspect and remove local models.",
        discussion: """
            A model is one .gguf file in the models folder; an embedding model is a folder there with \
            model.safetensors and vocab.txt. A server that runs sees a change when it is started again.

            heptad models pull hf:owner/repository/file.gguf
            heptad models list
            heptad models info NAME
            heptad models remove NAME
            """,
        subcommands: [
            ModelsListCommand.self, ModelsPullCommand.self, ModelsInfoCommand.self,
            ModelsRemoveCommand.self,
        ],
        defaultSubcommand: ModelsListCommand.self)
}

extension CommonOptions {
    var library: ModelLibrary { ModelLibrary(folder: modelsPath) }
}

/// Rows under headings, in columns as wide as they need.
struct TextTable {
    var headings: [String] = []
    var rows: [[String]] = []
    /// Columns with numbers, which stand to the right.
    var numbers: Set<Int> = []

    var lines: [String] {
        let all = (headings.isEmpty ? [] : [headings]) + rows
        let columns = all.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            all.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return all.map { row in
            let cells = row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                if numbers.contains(column) { return space + cell }
                return column == row.count - 1 ? cell : cell + space
            }
            return cells.joined(separator: "  ")
        }
    }
}

/// What other programs read on standard output.
enum JSONOutput {
    static func text(of value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}

/// A count as people say it: 134.5M.
func shortCount(_ count: Int) -> String {
    let units = ["", "k", "M", "B", "T"]
    var value = Double(count)
    var unit = 0
    while value.magnitude >= 999.5, unit < units.count - 1 {
        value /= 1000
        unit += 1
    }
    return unit == 0
        ? "\(count)" : String(format: value < 99.95 ? "%.1f%@" : "%.0f%@", value, units[unit])
}
