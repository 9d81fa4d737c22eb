/// "Did you mean".
enum Spelling {
    /// The candidate that `word` was most likely meant to be: at most a third of its letters differ.
    static func nearest(to word: String, in candidates: some Sequence<String>) -> String? {
        let wanted = Array(word.lowercased().prefix(64))
        var best: (distance: Int, name: String)?
        for candidate in candidates.prefix(1_000) {
            let other = Array(candidate.lowercased().prefix(64))
            guard abs(other.count - wanted.count) <= wanted.count / 3 else { continue }
            let distance = distance(wanted, other)
            if distance <= max(1, wanted.count / 3), distance < best?.distance ?? .max { best = (distance, candidate) }
        }
        return best?.name
    }

    /// Levenshtein's, one row at a time.
    private static func distance(_ left: [Character], _ right: [Character]) -> Int {
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let substituted = diagonal + (a == b ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(substituted, row[j] + 1, diagonal + 1)
            }
        }
        return row[right.count]
    }
}
