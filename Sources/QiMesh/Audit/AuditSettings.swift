/// The section `audit` of a policy file: what is written down, and how much is kept.
struct AuditSettings: Hashable, Sendable, Decodable {
    enum CodingKeys: String, CodingKey, CaseIterable { case calls, size, files }

    /// Whether allowed calls are written down too, not only denials and changes.
    var isForAllCalls = false
    /// A file that has grown to this many bytes is put aside.
    var fileSize = 10_000_000
    /// How many files there are, the present one included.
    var fileCount = 5

    init() {}

    init(from decoder: any Decoder) throws {
        let container = try decoder.strictContainer(CodingKeys.self)
        if let text = try container.text(.calls, limit: 32) {
            guard let isForAllCalls = ["all": true, "denied": false][text] else {
                throw container.wrong(.calls, "\"\(text)\" is not one of all, denied")
            }
            self.isForAllCalls = isForAllCalls
        }
        if let text = try container.text(.size, limit: 32) {
            guard let bytes = Quantity.bytes(text), (10_000...10_000_000_000).contains(bytes) else {
                throw container.wrong(.size, "\"\(text)\" is not a size between 10kB and 10GB, such as 10MB")
            }
            fileSize = bytes
        }
        if let count = try container.decodeIfPresent(Int.self, forKey: .files) {
            guard (1...100).contains(count) else { throw container.wrong(.files, "\(count) is not between 1 and 100") }
            fileCount = count
        }
    }
}
