/// Finds the word somebody probably meant.
enum Spelling {
    /// The candidate that differs in the fewest letters; `nil` when none is near: more than two letters, or a third of the word,
    /// differ.
    static func nearest(to word: String, among candidates: [String]) -> String? {
        let scored = candidates.map { (candidate: $0, distance: distance(word.lowercased(), $0.lowercased())) }
        guard let best = scored.min(by: { ($0.distance, $0.candidate) < ($1.distance, $1.candidate) }) else { return nil }
        return best.distance <= max(2, word.count / 3) && best.distance < best.candidate.count ? best.candidate : nil
    }

    /// Letters inserted, removed, exchanged or swapped with their neighbour (optimal string alignment). Long words count as far
    /// from all: the effort grows with the product of the lengths.
    static func distance(_ one: String, _ other: String) -> Int {
        let first = Array(one.unicodeScalars)
        let second = Array(other.unicodeScalars)
        guard first.count <= 64, second.count <= 64 else { return .max }
        guard !first.isEmpty else { return second.count }
        guard !second.isEmpty else { return first.count }
        var beforeLast: [Int] = []
        var last = Array(0...second.count)
        for row in 1...first.count {
            var current = [row]
            for column in 1...second.count {
                let exchange = last[column - 1] + (first[row - 1] == second[column - 1] ? 0 : 1)
                var best = min(last[column] + 1, current[column - 1] + 1, exchange)
                if row > 1, column > 1, first[row - 1] == second[column - 2], first[row - 2] == second[column - 1] {
                    best = min(best, beforeLast[column - 2] + 1)
                }
                current.append(best)
            }
            (beforeLast, last) = (last, current)
        }
        return last[second.count]
    }
}
