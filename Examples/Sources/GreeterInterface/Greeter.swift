import QiMessaging

/// Says hello. What the programs that offer it and those that use it share; `qimesh gen Greeter` prints it from the running
/// service.
@Service public protocol Greeter {
    /// Greets somebody.
    func greet(_ name: String) async throws -> String
    /// Everybody who was greeted.
    var greeted: Signal<String> { get }
    var volume: Property<Int32> { get }
}
