//! tmp
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    rosterd::directory::recover_keyspace(&arguments)
}
