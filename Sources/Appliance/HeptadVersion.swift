/// What `heptad version` prints, and what the server says of itself.
package enum HeptadVersion {
    package static let current = "0.1.0"
}
