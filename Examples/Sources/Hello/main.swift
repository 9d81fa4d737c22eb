// Hosts a service until SIGTERM or Ctrl-C.      Hello [tcp://HOST:PORT]
import GreeterInterface
import QiMessaging

actor FriendlyGreeter: Greeter {
    nonisolated let greeted = Signal<String>()
    nonisolated let volume = Property<Int32>(7)

    func greet(_ name: String) -> String {
        greeted.emit(name)
        return "Hello \(name)"
    }
}

try await Session.with(CommandLine.arguments.dropFirst().first ?? Session.defaultURL) { session in
    try await session.register(GreeterBinding(FriendlyGreeter()), as: "Greeter")
    await session.run()
}
