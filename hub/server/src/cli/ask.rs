//! Before something is done that is not undone: who orders it, why, and whether it is meant.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use super::Context;
use super::answer::Trouble;
use super::words;

/// Longest account in the ledger, in characters.
const ACCOUNT_MAX: usize = 64;

/// Who orders it: the account named with `--as`, else the one that runs the program. Never a person's name.
///
/// # Errors
/// [`Trouble`] when the account named is none.
pub(super) fn who(named: Option<&str>) -> Result<String, Trouble> {
    let Some(named) = named else {
        return Ok(words::account());
    };
    let account = named.trim();
    let fits = !account.is_empty()
        && account.chars().count() <= ACCOUNT_MAX
        && !account.chars().any(|c| c.is_control() || c.is_whitespace());
    if fits {
        Ok(account.to_owned())
    } else {
        Err(Trouble::new(
            "that is no account",
            format!("name the account with --as: one word of at most {ACCOUNT_MAX} characters"),
        ))
    }
}

/// Why it is ordered.
///
/// # Errors
/// [`Trouble`] when there is nothing in it.
pub(super) fn why(reason: &str) -> Result<String, Trouble> {
    let why = super::show::one_line(reason);
    if why.is_empty() {
        return Err(Trouble::new(
            "a reason of white space is none",
            "say why with --reason, in a few words",
        ));
    }
    Ok(why)
}

/// Whether to do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// Given, with `--yes` or at the terminal; whoever was asked has seen the preview already.
    Given {
        /// The preview stands on the screen.
        shown: bool,
    },
    /// Refused at the terminal.
    Refused,
    /// Nobody can be asked here.
    Nobody,
}

/// Shows what would be done and asks, unless `yes` says so already. Without a terminal, or when a program reads
/// the answer, nobody is asked.
///
/// # Errors
/// [`Trouble`] when the terminal cannot be read.
pub(super) fn consent(
    context: &Context,
    yes: bool,
    preview: &str,
    question: &str,
) -> Result<Consent, Trouble> {
    if yes {
        return Ok(Consent::Given { shown: false });
    }
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if context.global.json || !terminal {
        return Ok(Consent::Nobody);
    }
    let mut out = std::io::stderr();
    let mut answer = String::new();
    write!(out, "{preview}\n\n{question} [c/K] ")
        .and_then(|()| out.flush())
        .and_then(|()| std::io::stdin().lock().read_line(&mut answer).map(|_| ()))
        .map_err(|error| Trouble::of(&error, "run it again with --yes to do it without being asked"))?;
    Ok(if is_yes(&answer) {
        Consent::Given { shown: true }
    } else {
        Consent::Refused
    })
}

fn is_yes(answer: &str) -> bool {
    matches!(
        answer.trim().to_lowercase().as_str(),
        "c" | "có" | "co" | "y" | "yes"
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::context_with;
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for (answer, is) in [
            ("c\n", true),
            ("Có", true),
            ("YES", true),
            ("", false),
            ("k", false),
            ("ok", false),
        ] {
            assert_eq!(is_yes(answer), is, "{answer}");
        }
    }

    #[test]
    fn an_account_is_one_word() {
        assert_eq!(who(Some(" van-hanh-1 ")).unwrap(), "van-hanh-1");
        assert!(!who(None).unwrap().is_empty());
        for bad in ["", " ", "hai chữ", "a\u{1b}[2J", &"x".repeat(ACCOUNT_MAX + 1)] {
            assert!(who(Some(bad)).is_err(), "{bad:?}");
        }
        assert!(who(Some(&"x".repeat(ACCOUNT_MAX))).is_ok());
        assert_eq!(why(" theo\ncông văn ").unwrap(), "theo công văn");
        assert!(why(" \n").is_err());
    }

    #[test]
    fn programs_are_not_asked() {
        let mut context = context_with(None);
        context.global.json = true;
        assert_eq!(consent(&context, false, "", "").unwrap(), Consent::Nobody);
        assert_eq!(
            consent(&context, true, "", "").unwrap(),
            Consent::Given { shown: false }
        );
    }
}
