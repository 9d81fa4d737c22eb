/// Comparing secrets without telling by the time taken how much of a guess was right.
enum ConstantTime {
    /// Whether both are the same bytes. Looks at every byte whatever it finds; only a difference in length, which is no secret, is
    /// told early.
    static func areEqual(_ first: [UInt8], _ second: [UInt8]) -> Bool {
        guard first.count == second.count else { return false }
        var difference: UInt8 = 0
        for (left, right) in zip(first, second) { difference |= left ^ right }
        return difference == 0
    }
}
