/// A program that opens streams to us, as long as its process lives.
struct StreamProcess: Equatable {
    /// Its full address.
    let program: String
    /// Drawn anew by each process.
    let instance: UInt64
}
