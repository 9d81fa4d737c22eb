// Calls a service by name, without a declaration of it.      Call [tcp://HOST:PORT]
import QiMessaging

let url = CommandLine.arguments.dropFirst().first ?? Session.defaultURL
let session = try await Session.connect(url)
let greeter = try await session.service("Greeter")
let answer: String = try await greeter.call("greet", "Ada", deadline: .seconds(2))
print(answer)
print("volume:", try await greeter.property("volume").value)
await session.close()
