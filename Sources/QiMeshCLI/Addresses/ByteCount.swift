import ArgumentParser
import QiMesh

/// A size as typed: `4M`, `500kB`, `64KiB`, `1000`.
struct ByteCount: Hashable, ExpressibleByArgument {
    /// 1 to 2 · 10⁹.
    var bytes: Int

    init?(argument: String) {
        // `4M` is what the documents of other tools say.
        let text = argument.last.map { "kMG".contains($0) } == true ? argument + "B" : argument
        guard let bytes = Quantity.bytes(text), (1...2_000_000_000).contains(bytes) else { return nil }
        self.bytes = bytes
    }
}
