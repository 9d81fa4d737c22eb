// Uses a service of a device that is reached through XMPP.      Remote JID PASSWORD-FILE DEVICE [SERVER:PORT CA-FILE]
import Foundation
import GreeterInterface
import QiMesh
import QiMessaging

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count >= 3 else { exit(2) }
var options = Mesh.Options()
if arguments.count == 5 { (options.server, options.caFile) = (arguments[3], arguments[4]) }

try await Mesh.with(jid: arguments[0], password: .file(arguments[1]), options: options) { mesh in
    let device = try await mesh.device(arguments[2], waitOnline: .seconds(30))
    let greeter = try await device.service(GreeterProxy.self)
    print(try await greeter.greet("you, from far away"))
    print("path:", try await device.path)
}
