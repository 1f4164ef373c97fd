import Appliance
import CMemory

@main
struct Main {
    static func main() async {
        cmemory_settle()
        await HeptadCommand.runMain()
    }
}
