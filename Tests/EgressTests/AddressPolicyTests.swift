import Core
import Testing

@testable import Egress

struct AddressPolicyTests {
    @Test(
        "Addresses that are not public are refused",
        arguments: [
            "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255",
            "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254",
            "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
            "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7",
            "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
            "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:10.0.0.1",
            "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "100::1", "2001::1",
            "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254",
            "fe80::1", "fec0::1", "ff02::1",
        ])
    func refused(text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(AddressPolicy.reserved(address) != nil)
    }

    @Test(
        "Public addresses pass, up to the very edge of a block",
        arguments: [
            "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
            "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255",
            "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
            "223.255.255.255", "2606:4700:4700::1111", "2a00:1450::1", "64:ff9b::8.8.8.8",
            "2001:200::1",
        ])
    func permitted(text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(AddressPolicy.reserved(address) == nil)
        #expect(address.description == text || text.contains("64:ff9b"))
    }

    struct Listing: Sendable {
        let target: String
        let address: String
        var host = "box.internal"
        var port = 80
        let isPermitted: Bool
    }

    @Test(
        "What the operator lists is permitted, and nothing beside it",
        arguments: [
            Listing(target: "box.internal", address: "10.0.0.9", isPermitted: true),
            Listing(target: "BOX.internal.", address: "10.0.0.9", isPermitted: true),
            Listing(target: "box.internal:80", address: "10.0.0.9", isPermitted: true),
            Listing(target: "box.internal:81", address: "10.0.0.9", isPermitted: false),
            Listing(target: "other.internal", address: "10.0.0.9", isPermitted: false),
            Listing(target: "internal", address: "10.0.0.9", isPermitted: false),
            Listing(target: "10.0.0.0/8", address: "10.0.0.9", isPermitted: true),
            Listing(target: "10.0.0.0/29", address: "10.0.0.9", isPermitted: false),
            Listing(target: "10.0.0.9", address: "10.0.0.9", isPermitted: true),
            Listing(target: "10.0.0.9:80", address: "10.0.0.9", isPermitted: true),
            Listing(target: "10.0.0.9:443", address: "10.0.0.9", isPermitted: false),
            Listing(target: "0.0.0.0/0", address: "10.0.0.9", isPermitted: true),
            Listing(target: "0.0.0.0/0", address: "::1", isPermitted: false),
            Listing(target: "[::1]:80", address: "::1", isPermitted: true),
            Listing(target: "::1", address: "::1", isPermitted: true),
            Listing(target: "fd00::/8", address: "fd12::1", isPermitted: true),
            Listing(target: "169.254.169.254", address: "169.254.169.254", isPermitted: true),
        ])
    func listed(row: Listing) throws {
        let address = try #require(IPAddress(row.address))
        let policy = AddressPolicy([row.target])
        let refusal = policy.refusal(of: address, host: row.host, port: row.port, listed: [])
        #expect((refusal == nil) == row.isPermitted)
        let target = try #require(AllowedTarget(row.target))
        let once = AddressPolicy([])
            .refusal(of: address, host: row.host, port: row.port, listed: [target])
        #expect((once == nil) == row.isPermitted)
    }

    @Test(
        "A target that is none is refused in the configuration",
        arguments: [
            "", "a b", "host:", "host:0", "host:65536", "host:x", "10.0.0.0/33", "10.0.0.0/-1",
            "10.0.0.0/", "fd00::/129", "[::1", "[::1]80", "http://host", "a:b:c", "host/8",
        ])
    func notATarget(text: String) {
        #expect(AllowedTarget(text) == nil)
        var configuration = EgressConfiguration()
        configuration.allowedTargets = [text]
        #expect(throws: Failure.self) { try configuration.validate() }
    }

    struct Address: Sendable {
        let text: String
        let host: String
        let port: Int
    }

    @Test(
        "A web address is read as libcurl reads it",
        arguments: [
            Address(text: "http://Example.COM", host: "example.com", port: 80),
            Address(text: "https://example.com./x?y=1#z", host: "example.com", port: 443),
            Address(text: "http://[::1]:8080/", host: "::1", port: 8080),
            // Other ways to write an IPv4 address become the address.
            Address(text: "http://0x7f.1/", host: "127.0.0.1", port: 80),
            Address(text: "http://2130706433/", host: "127.0.0.1", port: 80),
            Address(text: "http://0177.0.0.1/", host: "127.0.0.1", port: 80),
        ])
    func webAddress(row: Address) throws {
        let address = try WebAddress(row.text)
        #expect(address.host == row.host)
        #expect(address.port == row.port)
    }

    @Test(
        "Anything but http and https without a password is refused",
        arguments: [
            "", "example.com", "/path", "ftp://example.com", "file:///etc/passwd",
            "gopher://example.com", "http://user:secret@example.com", "http://user@example.com",
            "http://", "http://exa mple.com", "http://example.com:0", "http://example.com:65536",
            "http://example.com\r\nHost: evil", "http://[fe80::1%25eth0]/", "javascript:alert(1)",
            "http://" + String(repeating: "a", count: 9000),
        ])
    func notAWebAddress(text: String) {
        #expect(throws: Failure.self) { try WebAddress(text) }
    }
}
