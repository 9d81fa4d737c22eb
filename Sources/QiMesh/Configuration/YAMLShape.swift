/// What a YAML document may look like, judged event by event: no anchors and aliases, keys that are texts, and bounds for depth and
/// number of values. All of it costs a few bytes for each open list and mapping.
struct YAMLShape {
    /// What is taken at most.
    struct Bounds {
        /// Lists and mappings inside each other; a policy has five.
        var depth = 32
        /// Texts, lists and mappings; 10 000 expectations of a policy test have 140 000.
        var values = 200_000
    }

    enum Event: Equatable {
        case scalar(anchor: String? = nil)
        case alias(String)
        case listBegin(anchor: String? = nil)
        case mappingBegin(anchor: String? = nil)
        /// Of the innermost list or mapping.
        case end
        case documentEnd
    }

    private enum Place {
        case list
        case key
        case value
    }

    private let bounds: Bounds
    private var places: [Place] = []
    private var count = 0

    init(_ bounds: Bounds = Bounds()) { self.bounds = bounds }

    /// What is wrong with the document, as soon as it is seen; nil while nothing is.
    mutating func received(_ event: Event) -> String? {
        switch event {
        case .documentEnd: return nil
        case .end:
            _ = places.popLast()
            return nil
        case .alias(let name): return "aliases (*\(name)) are not taken; a text that begins with * needs quotes"
        case .scalar(let anchor):
            if let mistake = value(anchor) { return mistake }
            next()
        case .listBegin(let anchor):
            if let mistake = container(anchor) { return mistake }
            places.append(.list)
        case .mappingBegin(let anchor):
            if let mistake = container(anchor) { return mistake }
            places.append(.key)
        }
        return nil
    }

    private mutating func value(_ anchor: String?) -> String? {
        if let anchor { return "anchors (&\(anchor)) are not taken; a text that begins with & needs quotes" }
        count += 1
        return count <= bounds.values ? nil : "there are more than \(bounds.values) values"
    }

    private mutating func container(_ anchor: String?) -> String? {
        if let mistake = value(anchor) { return mistake }
        if places.last == .key { return "a key has to be a text; one that begins with [ or { needs quotes" }
        guard places.count < bounds.depth else { return "lists and mappings are more than \(bounds.depth) deep" }
        next()
        return nil
    }

    /// In a mapping a value follows a key, and a key a value.
    private mutating func next() {
        switch places.last {
        case .key: places[places.count - 1] = .value
        case .value: places[places.count - 1] = .key
        case .list, nil: break
        }
    }
}
