import Core
import Foundation
import TestSupport
import Testing

@testable import Appliance

@Suite struct DataFolderTests {
    @Test("One process has the folder, and the next gets it when the first is done")
    func lock() throws {
        let temporary = try TemporaryFolder()
        let first = try DataFolder(path: temporary.path)
        let second = try DataFolder(path: temporary.path)

        #expect(try first.acquire())
        #expect(try !second.acquire())
        first.release()
        #expect(try second.acquire())
    }

    @Test("The server's token is readable by its owner only, and gone after release")
    func announcement() throws {
        let temporary = try TemporaryFolder()
        let folder = try DataFolder(path: temporary.path)
        let server = DataFolder.Server(pid: 7, address: "http://127.0.0.1:1", token: "t")
        #expect(try folder.acquire())
        try folder.announce(server)

        let attributes = try FileManager.default.attributesOfItem(
            atPath: temporary.path + "/run/server.json")
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(folder.server() == server)
        folder.release()
        #expect(folder.server() == nil)
    }

    @Test("A folder that cannot be made is a sentence that names the option")
    func refused() {
        #expect {
            try DataFolder(path: "/proc/nowhere/data")
        } throws: { ($0 as? Failure)?.message.contains("--data") == true }
    }
}
