use clap::{CommandFactory as _, Parser as _};
use expect_test::expect_file;

use super::*;

/// Guarantees: what `--help` teaches changes only on purpose (`UPDATE_EXPECT=1` accepts it).
#[test]
fn help_is_golden() {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut help = command.render_long_help().to_string();
    for sub in command
        .get_subcommands_mut()
        .filter(|sub| sub.get_name() != "help")
    {
        let name = sub.get_name().to_owned();
        help.push_str(&format!("\n---- {name} ----\n\n{}", sub.render_long_help()));
    }
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    expect_file!["golden/help.txt"].assert_eq(&format!("{}\n", lines.join("\n")));
}

#[test]
fn run_is_the_default_command() {
    let options = [
        "davy-agent",
        "--config",
        "a.yaml",
        "--on-config-error",
        "degrade",
    ];
    let cli = Cli::try_parse_from(options).expect("options of run");
    assert!(cli.command.is_none());
    assert_eq!(
        cli.run.config.as_deref(),
        Some(std::path::Path::new("a.yaml"))
    );
    let named = Cli::try_parse_from(["davy-agent", "run", "--config", "a.yaml"]).expect("run");
    assert!(matches!(named.command, Some(Command::Run(_))));
    let unknown = Cli::try_parse_from(["davy-agent", "--confg", "a.yaml"]).expect_err("a typo");
    assert!(unknown.use_stderr());
}
