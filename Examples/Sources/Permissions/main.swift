// Says who may do what, asks why, and serves by it.      Permissions
import QiMessaging

var policy = Policy()
policy.allow(.group("operators", ["op@lab.example"]), ["ALTextToSpeech.*", "*.get*"])
policy.deny(.everyone, ["ALMotion.*"])
print(policy.explain("op@lab.example", .call, "ALTextToSpeech.say"))
print(policy.explain("op@lab.example", .call, "ALMotion.moveTo"))
print(policy.explain("op@lab.example", .write, "ALMemory.battery"))

// What a method may ask by itself, beyond any rule.
func requireHome() throws {
    guard Caller.current?.jid?.domain == "lab.example" else { throw QiError.denied("home only") }
}
do { try requireHome() } catch { print("outside of a call:", error) }
