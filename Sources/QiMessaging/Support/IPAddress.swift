import Glibc
import NIOCore

/// An IP address as its bytes: 4, or 16. An IPv4 address inside IPv6 (`::ffff:10.0.0.7`) is the IPv4 address.
public struct IPAddress: Hashable, Sendable, LosslessStringConvertible {
    /// In network order.
    public let bytes: [UInt8]

    /// Reads the text form; a zone (`fe80::1%eth0`) is left out. nil for anything else, a host name included.
    public init?(_ text: String) {
        let text = String(text.prefix { $0 != "%" })
        var four = [UInt8](repeating: 0, count: 4)
        if inet_pton(AF_INET, text, &four) == 1 {
            bytes = four
            return
        }
        var sixteen = [UInt8](repeating: 0, count: 16)
        guard inet_pton(AF_INET6, text, &sixteen) == 1 else { return nil }
        let isMapped = sixteen[..<10].allSatisfy { $0 == 0 } && sixteen[10] == 0xFF && sixteen[11] == 0xFF
        bytes = isMapped ? Array(sixteen[12...]) : sixteen
    }

    /// The text form.
    public var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Whether it means this machine.
    public var isLoopback: Bool { bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1 }

    /// Whether it belongs to a local network by its form: loopback, private (RFC 1918, RFC 4193) or link-local (RFC 3927, RFC 4291
    /// §2.5.6). The shared space of providers (RFC 6598) does not: strangers are in it.
    public var isLocal: Bool {
        if isLoopback { return true }
        if bytes.count == 16 { return bytes[0] & 0xFE == 0xFC || (bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80) }
        return switch (bytes[0], bytes[1]) {
        case (10, _), (172, 16...31), (192, 168), (169, 254): true
        default: false
        }
    }

    /// Whether it is link-local (RFC 3927, RFC 4291 §2.5.6): it means something with its interface only.
    public var isLinkLocal: Bool {
        bytes.count == 4 ? bytes[0] == 169 && bytes[1] == 254 : bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80
    }

    /// Whether it means no machine, or any (RFC 1122 §3.2.1.3, RFC 4291 §2.5.2).
    public var isUnspecified: Bool { bytes.count == 4 ? bytes[0] == 0 : bytes.allSatisfy { $0 == 0 } }

    /// Whether it means more than one machine (RFC 5771, RFC 4291 §2.7, and broadcast).
    public var isMulticast: Bool { bytes.count == 4 ? bytes[0] >= 224 : bytes[0] == 0xFF }

    /// Whether it is an IPv6 address that a translator or a tunnel makes an IPv4 address of: NAT64 (RFC 6052 §2.1, RFC 8215), 6to4 (RFC 3056),
    /// IPv4-compatible (RFC 4291 §2.5.5.1) and IPv4-translated (RFC 2765 §2.1) ones.
    public var holdsIPv4: Bool {
        guard bytes.count == 16 else { return false }
        if bytes[0] == 0x20 && bytes[1] == 0x02 { return true }
        if bytes[0] == 0 && bytes[1] == 0x64 && bytes[2] == 0xFF && bytes[3] == 0x9B { return true }
        guard bytes[..<8].allSatisfy({ $0 == 0 }) else { return false }
        return bytes[8...11].allSatisfy { $0 == 0 } || (bytes[8] == 0xFF && bytes[9] == 0xFF)
    }

    /// Whether clouds answer there with a machine's secrets: 169.254.169.254, fd00:ec2::254.
    public var isCloudMetadata: Bool { self == IPAddress("169.254.169.254") || self == IPAddress("fd00:ec2::254") }

    /// What counts as one place: the address, and of IPv6 the network, from which one host has addresses without number.
    var place: [UInt8] { bytes.count == 16 ? Array(bytes.prefix(8)) : bytes }

    /// ``place`` of a peer's address as text; of what is no IP address the text itself.
    static func place(of host: String) -> String {
        guard let address = IPAddress(host) else { return host }
        return address.bytes.count == 4 ? address.description : "\(IPAddress(network: address.place))/64"
    }

    /// The first address of an IPv6 network, by its first eight bytes.
    private init(network: [UInt8]) { bytes = network + [UInt8](repeating: 0, count: 8) }

    /// Whether both have their first `length` bits in common.
    func isIn(_ network: IPAddress, prefix length: Int) -> Bool {
        guard bytes.count == network.bytes.count, length >= 0, length <= bytes.count * 8 else { return false }
        let whole = length / 8
        guard bytes.prefix(whole) == network.bytes.prefix(whole) else { return false }
        guard length % 8 > 0 else { return true }
        let mask = UInt8(truncatingIfNeeded: 0xFF00 >> (length % 8))
        return bytes[whole] & mask == network.bytes[whole] & mask
    }

    /// The number of leading ones, of an address that is a network mask.
    public var prefixLength: Int {
        var count = 0
        for byte in bytes {
            count += (~byte).leadingZeroBitCount
            if byte != 0xFF { break }
        }
        return count
    }
}

extension SocketAddress {
    /// The host as IPv4 peers know it, also where it came in by a socket for both (`::ffff:10.0.0.7`).
    var plainHost: String? { ipAddress.map { IPAddress($0)?.description ?? $0 } }
}
