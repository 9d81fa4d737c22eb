/// A range of IP addresses, `10.0.1.0/24`.
public struct IPNetwork: Hashable, Sendable, LosslessStringConvertible {
    public let address: IPAddress
    /// In bits.
    public let prefixLength: Int

    /// nil when the address has not that many bits.
    public init?(_ address: IPAddress, prefixLength: Int) {
        guard (0...address.bytes.count * 8).contains(prefixLength) else { return nil }
        self.address = address
        self.prefixLength = prefixLength
    }

    /// Reads `ADDRESS/BITS`, or an address alone.
    public init?(_ description: String) {
        let parts = description.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first.flatMap({ IPAddress(String($0)) }) else { return nil }
        guard parts.count == 2 else {
            self.init(address, prefixLength: address.bytes.count * 8)
            return
        }
        guard let length = Int(parts[1]) else { return nil }
        self.init(address, prefixLength: length)
    }

    public func contains(_ address: IPAddress) -> Bool { address.isIn(self.address, prefix: prefixLength) }

    public var description: String { "\(address)/\(prefixLength)" }
}
