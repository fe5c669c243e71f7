//! Runs commands visibly.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A result with a message for the user.
pub type Result<T = ()> = std::result::Result<T, String>;

/// Runs commands in the repository's root, and prints and times each.
pub struct Shell {
    root: PathBuf,
    environment: Vec<(&'static str, OsString)>,
    times: Vec<(String, Duration)>,
}

impl Shell {
    /// A shell in the repository of this program.
    pub fn new() -> Result<Shell> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("expected xtask/ in the repository")?;
        let mut shell = Shell { root: root.to_owned(), environment: Vec::new(), times: Vec::new() };
        if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
            // The Vulkan loader and drivers warn without it.
            let folder = shell.folder("runtime")?;
            shell.environment.push(("XDG_RUNTIME_DIR", folder.into()));
        }
        Ok(shell)
    }

    /// The repository's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path of a program built by cargo: `profile` is a folder in cargo's target folder, `name` the program's path
    /// in it.
    pub fn built(&self, profile: &str, name: &str) -> String {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        let program = self.root.join(target).join(profile).join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        format!("\"{}\"", program.display())
    }

    /// Creates an empty folder that is private to this user.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.root.join("target/xtask").join(name);
        let failed = |error| format!("cannot create {}: {error}", folder.display());
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(failed)?;
        }
        std::fs::create_dir_all(&folder).map_err(failed)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        }
        Ok(folder)
    }

    /// The command of a line, with unparsed further arguments.
    fn command(&self, line: &str, arguments: &[&str]) -> Command {
        let mut words = words(line).into_iter().chain(arguments.iter().copied());
        let program = words.next().unwrap_or_default();
        let program =
            if program == "cargo" { std::env::var_os("CARGO").unwrap_or("cargo".into()) } else { program.into() };
        let mut command = Command::new(program);
        command.args(words).current_dir(&self.root).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Prints and runs a command line.
    pub fn run(&mut self, line: &str) -> Result {
        self.run_with(line, &[], &[])
    }

    /// As [`Shell::run`], with further arguments that may have spaces, and environment variables for this command only.
    pub fn run_with(&mut self, line: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result {
        let before: String = variables.iter().map(|(name, value)| format!("{name}='{value}' ")).collect();
        let after: String = arguments.iter().map(|argument| format!(" '{argument}'")).collect();
        println!("\n$ {before}{line}{after}");
        let start = Instant::now();
        let status = self.command(line, arguments).envs(variables.iter().copied()).status();
        let took = start.elapsed();
        match status {
            Ok(status) if status.success() => {
                println!("  ({:.1} s)", took.as_secs_f64());
                self.times.push((format!("{before}{line}"), took));
                Ok(())
            }
            Ok(status) => Err(format!("`{line}` failed ({status}) after {:.1} s", took.as_secs_f64())),
            Err(error) => Err(format!("`{line}` could not be started: {error}")),
        }
    }

    /// The output of a command, or `None` if it fails. Runs silently.
    pub fn output(&self, line: &str) -> Option<String> {
        self.output_with(line, &[])
    }

    /// As [`Shell::output`], with environment variables for this command only.
    pub fn output_with(&self, line: &str, variables: &[(&str, &str)]) -> Option<String> {
        let output = self.command(line, &[]).envs(variables.iter().copied()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The time of each command.
    pub fn times(&self) -> String {
        let mut table = String::new();
        for (line, took) in &self.times {
            let _ = writeln!(table, "{:8.1} s  {line}", took.as_secs_f64());
        }
        let total: Duration = self.times.iter().map(|(_, took)| *took).sum();
        let _ = write!(table, "{:8.1} s  in all", total.as_secs_f64());
        table
    }
}

/// The words of a command line, separated by spaces or quoted.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace()),
            _ => words.push(part),
        }
    }
    words
}
