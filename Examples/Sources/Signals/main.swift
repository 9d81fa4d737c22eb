// Subscribes to a signal, and watches a property.      Signals [tcp://HOST:PORT]
import GreeterInterface
import QiMessaging

try await Session.with(CommandLine.arguments.dropFirst().first ?? Session.defaultURL) { session in
    let greeter = try await session.service(GreeterProxy.self)
    let greetings = try await greeter.greeted.events(buffering: .newest(10))
    let volumes = try await greeter.volume.changes()
    for name in ["Ada", "Grace"] { _ = try await greeter.greet(name) }
    try await greeter.volume.set(9)
    for try await name in greetings {
        print("greeted:", name)
        if name == "Grace" { break }
    }
    for try await volume in volumes {
        print("volume:", volume)
        break
    }
}
