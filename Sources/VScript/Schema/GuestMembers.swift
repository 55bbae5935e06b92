/// The members of a guest that its declaration's body may name.
enum GuestMembers {
    static let names = ["run", "step", "cpu", "mem", "console", "transitions", "after"]
}
