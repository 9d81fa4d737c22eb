// Hosts a service in the directory of a device until it was used once.      Cloud JID PASSWORD-FILE DEVICE [SERVER:PORT CA-FILE]
import Foundation
import GreeterInterface
import QiMesh
import QiMessaging

actor CloudGreeter: Greeter {
    nonisolated let greeted = Signal<String>()
    nonisolated let volume = Property<Int32>(7)
    private let used: AsyncStream<String>.Continuation

    init(_ used: AsyncStream<String>.Continuation) { self.used = used }

    func greet(_ name: String) -> String {
        greeted.emit(name)
        used.yield(name)
        return "Hello \(name), from far away"
    }
}

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count >= 3 else { exit(2) }
var options = Mesh.Options()
if arguments.count == 5 { (options.server, options.caFile) = (arguments[3], arguments[4]) }

try await Mesh.with(jid: arguments[0], password: .file(arguments[1]), options: options) { mesh in
    let device = try await mesh.device(arguments[2], waitOnline: .seconds(30))
    let used = AsyncStream.makeStream(of: String.self)
    // A rule there has to say so: register: ["Greeter"].
    let hosting = try await device.host(GreeterBinding(CloudGreeter(used.continuation)))
    for await name in used.stream {
        print("greeted:", name)
        break
    }
    await hosting.end()
}
