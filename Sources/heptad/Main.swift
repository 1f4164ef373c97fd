import Appliance

@main
struct Main {
    static func main() async { await HeptadCommand.runMain() }
}
