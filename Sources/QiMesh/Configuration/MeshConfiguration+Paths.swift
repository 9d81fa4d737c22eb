import QiMessaging

extension MeshConfiguration {
    /// The ways to other devices.
    public struct Paths: Hashable, Sendable {
        /// A kind of path.
        public enum Kind: String, Hashable, Sendable, CaseIterable {
            /// A TCP connection between the two devices.
            case direct
            /// Through a proxy of one of their servers (XEP-0065).
            case proxy
            /// In stanzas, through the servers: slow, and always there.
            case inBand = "in-band"
        }

        /// The kinds that are tried, best first; one that is not here is off, in both directions. The last is there first.
        public var order: [Kind] = [.direct, .proxy, .inBand]
        /// How long calls wait for a new path when theirs is lost, 1 s to 1 h.
        public var resume = Duration.seconds(120)
        /// How long services that a contact hosts here are kept for it beyond that, 1 s to 1 h.
        public var returnTime = Duration.seconds(60)
        /// The longest argument or result on an in-band path, in bytes, 1 kB to 2 GB.
        public var inBandMax = 256_000
        /// The interfaces whose addresses are offered to contacts; nil: all but those of `internal.interfaces`, and never the loopback.
        public var interfaces: [String]?
        /// Whether contacts' addresses may be dialled that are on the networks of `internal.interfaces`.
        public var reachesInternal = false
    }
}

extension MeshConfiguration.Paths: Decodable {
    enum CodingKeys: String, CodingKey, CaseIterable {
        case order, resume, interfaces
        case inBandMax = "in-band-max"
        case returnTime = "return-time"
        case reachesInternal = "internal"
    }

    /// Decodes the section `paths`.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.strictContainer(CodingKeys.self, advice: ["inband-max": "it is called in-band-max"])
        let names = try container.decodeIfPresent([String].self, forKey: .order)
        if names != nil { order = [] }
        for (index, name) in (names ?? []).enumerated() {
            guard let kind = Kind(rawValue: name), !order.contains(kind) else {
                let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
                throw container.wrong(.order, index: index, "\"\(name)\" is not one of \(known), each once")
            }
            order.append(kind)
        }
        guard order.last == .inBand else {
            throw container.wrong(.order, "in-band has to be the last: the others are found by way of it")
        }
        if let text = try container.text(.resume, limit: 32) {
            guard let time = Quantity.duration(text), time >= .seconds(1), time <= .seconds(3_600) else {
                throw container.wrong(.resume, "\"\(text)\" is not a time between 1s and 1h, such as 2m")
            }
            resume = time
        }
        if let text = try container.text(.returnTime, limit: 32) {
            guard let time = Quantity.duration(text), time >= .seconds(1), time <= .seconds(3_600) else {
                throw container.wrong(.returnTime, "\"\(text)\" is not a time between 1s and 1h, such as 60s")
            }
            returnTime = time
        }
        if let text = try container.text(.inBandMax, limit: 32) {
            guard let bytes = Quantity.bytes(text), (1_000...2_000_000_000).contains(bytes) else {
                throw container.wrong(.inBandMax, "\"\(text)\" is not a size between 1kB and 2GB, such as 256kB")
            }
            inBandMax = bytes
        }
        interfaces = try container.decodeIfPresent([String].self, forKey: .interfaces)
        for (index, name) in (interfaces ?? []).enumerated() where name.isEmpty || name.utf8.count > 15 || name == "lo" {
            throw container.wrong(.interfaces, index: index, "\"\(name)\" is no interface that others could reach, such as eth0")
        }
        reachesInternal = try container.decodeIfPresent(Bool.self, forKey: .reachesInternal) ?? false
    }
}
