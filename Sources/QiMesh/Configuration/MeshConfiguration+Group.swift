public import QiMessaging

extension MeshConfiguration {
    /// Devices that offer the same services under one name.
    public struct Group: Hashable, Sendable {
        /// What stands before the slash: `vision` of `vision/Detector`.
        public var name: String
        /// Which contacts belong to it.
        public var devices: [DevicePattern]
        /// Methods that may run twice, as `Service.method`.
        public var idempotent: [NameGlob]

        /// A pattern for contacts.
        public enum DevicePattern: Hashable, Sendable {
            /// What this node's owner calls them.
            case name(NameGlob)
            /// Their addresses.
            case address(JIDGlob)
        }

        /// The most groups, patterns of one, and methods of one.
        static let maximum = 64
    }
}

extension MeshConfiguration.Group {
    /// Whether a contact belongs to it.
    func holds(_ contact: Contact) -> Bool {
        devices.contains { pattern in
            switch pattern {
            case .name(let glob): contact.name.map(glob.matches) ?? false
            case .address(let glob): glob.matches(contact.jid)
            }
        }
    }
}

extension [MeshConfiguration.Group] {
    /// Decodes the section `groups`: a list of devices for each name, or a mapping with `devices` and `idempotent`.
    static func decode(_ decoder: any Decoder) throws -> Self {
        let container = try decoder.container(keyedBy: AnyCodingKey.self)
        func wrong(_ key: AnyCodingKey, _ message: String) -> DecodingError {
            .mistake(ConfigurationMistake(message: message), at: decoder.codingPath + [key])
        }
        let keys = container.allKeys.sorted { $0.stringValue < $1.stringValue }
        return try keys.enumerated().map { index, key in
            guard index < MeshConfiguration.Group.maximum else {
                throw wrong(key, "there are more than \(MeshConfiguration.Group.maximum) groups")
            }
            if let refusal = ContactName.refusal(of: key.stringValue) {
                throw wrong(key, "\"\(key.stringValue)\" cannot be the name of a group: \(refusal)")
            }
            let body = try container.decode(Body.self, forKey: key)
            return MeshConfiguration.Group(name: key.stringValue, devices: body.devices, idempotent: body.idempotent)
        }
    }

    /// What stands below the name of a group.
    private struct Body: Decodable {
        var devices: [MeshConfiguration.Group.DevicePattern] = []
        var idempotent: [NameGlob] = []

        enum CodingKeys: String, CodingKey, CaseIterable { case devices, idempotent }

        init(from decoder: any Decoder) throws {
            if let list = try? decoder.singleValueContainer().decode([String].self) {
                devices = try Self.patterns(list) { index, message in
                    .mistake(ConfigurationMistake(message: message), at: decoder.codingPath + [AnyCodingKey(intValue: index)])
                }
                return
            }
            let container = try decoder.strictContainer(CodingKeys.self)
            devices = try Self.patterns(try container.decodeIfPresent([String].self, forKey: .devices) ?? []) {
                container.wrong(.devices, index: $0, $1)
            }
            let methods = try container.decodeIfPresent([String].self, forKey: .idempotent) ?? []
            for (index, text) in methods.enumerated() {
                guard index < MeshConfiguration.Group.maximum, text.utf8.count <= 512, text.contains("."), !text.hasPrefix(".") else {
                    throw container.wrong(
                        .idempotent, index: index,
                        "\"\(text)\" is not one of at most \(MeshConfiguration.Group.maximum) methods such as Detector.detect")
                }
                idempotent.append(NameGlob(text))
            }
        }

        private static func patterns(
            _ texts: [String], wrong: (Int, String) -> DecodingError
        ) throws -> [MeshConfiguration.Group.DevicePattern] {
            guard !texts.isEmpty else { throw wrong(0, "a group needs devices: [cloud-1, \"vision-*\", op@lab.example]") }
            return try texts.enumerated().map { index, text in
                guard index < MeshConfiguration.Group.maximum else {
                    throw wrong(index, "a group has at most \(MeshConfiguration.Group.maximum) patterns of devices")
                }
                if text.contains("@") {
                    guard let glob = JIDGlob(text) else {
                        throw wrong(index, "\"\(text)\" is not a pattern such as op@lab.example, vision-*@lab.example or *@*.lab.example")
                    }
                    return .address(glob)
                }
                if let refusal = ContactName.refusal(of: text) {
                    throw wrong(index, "\"\(text)\" is no name of a device and no pattern of names: \(refusal)")
                }
                return .name(NameGlob(text))
            }
        }
    }
}

/// The section `groups`, for the decoder.
struct GroupSection: Decodable {
    let groups: [MeshConfiguration.Group]

    init(from decoder: any Decoder) throws { groups = try [MeshConfiguration.Group].decode(decoder) }
}
