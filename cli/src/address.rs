//! The names of tasks, as they are typed and shown.

use std::fmt;
use std::str::FromStr;

use longhaul::TaskId;

/// The session of transfers that are handed to the daemon without another word.
pub(crate) const DEFAULT_SESSION: &str = "longhaul";

/// A task of the daemon: `12` in the default session, `SESSION/12` in another one. The last slash
/// divides, for a session may have some itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TaskName {
    /// The session.
    pub(crate) session: String,
    /// The number.
    pub(crate) task: TaskId,
}

impl TaskName {
    /// The name of a task of this session.
    pub(crate) fn new(session: &str, task: TaskId) -> Self {
        Self {
            session: session.to_owned(),
            task,
        }
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.session.as_str() {
            DEFAULT_SESSION => write!(f, "{}", self.task),
            session => write!(f, "{session}/{}", self.task),
        }
    }
}

impl FromStr for TaskName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (session, number) = text.rsplit_once('/').unwrap_or((DEFAULT_SESSION, text));
        match number.parse() {
            Ok(number) if !session.is_empty() => Ok(Self::new(session, TaskId::new(number))),
            Ok(_) | Err(_) => Err(
                "not the name of a task; `longhaul list` shows them, such as 12 or SESSION/12"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_typed_as_it_is_shown() {
        let table = [
            ("12", Some(("longhaul", 12))),
            ("longhaul/12", Some(("longhaul", 12))),
            ("photos/3", Some(("photos", 3))),
            ("com/example//3", Some(("com/example/", 3))),
            ("a b/3", Some(("a b", 3))),
            ("/3", None),
            ("photos/", None),
            ("photos", None),
            ("", None),
            ("-1", None),
        ];
        for (text, expected) in table {
            let name = text.parse::<TaskName>().ok();
            let expected =
                expected.map(|(session, task)| TaskName::new(session, TaskId::new(task)));
            assert_eq!(name, expected, "{text}");
            if let Some(name) = name {
                assert_eq!(name.to_string().parse(), Ok(name), "{text}");
            }
        }
        let name = TaskName::new("longhaul", TaskId::new(12));
        assert_eq!(name.to_string(), "12");
    }
}
