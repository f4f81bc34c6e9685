//! What must be true of everything that the app has heard.

use std::collections::BTreeMap;

use longhaul_support::content::Content;

/// Whether each end was told once, as it is to be, and that it was all after the last of them.
pub(super) fn judge(
    journal: &str,
    downloads: &[Content],
    uploads: &[Content],
) -> Result<(), String> {
    let finished = downloads.iter().map(|it| format!("finished {}", it.len()));
    let uploaded = uploads.iter().map(|it| format!("uploaded {}", it.len()));
    // Tasks are numbered from 1 in the order of their requests.
    let expected: BTreeMap<u64, String> = (1..).zip(finished.chain(uploaded)).collect();
    let mut heard = BTreeMap::new();
    let mut last = "";
    for line in journal.lines() {
        last = line;
        if matches!(line, "called" | "all") {
            continue;
        }
        let (task, end) = line.split_once(' ').ok_or("a line is no end")?;
        let task = task.parse().map_err(|_| "a line is no end")?;
        if heard.insert(task, end.to_owned()).is_some() {
            return Err(format!("the end of task {task} was told twice"));
        }
    }
    if heard != expected {
        return Err(format!("heard {heard:?}, expected {expected:?}"));
    }
    match last {
        "all" => Ok(()),
        other => Err(format!("the last word is {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_a_repeated_and_another_end_are_noticed() {
        let (downloads, uploads) = ([Content::new(1, 3)], [Content::new(2, 4)]);
        let judged = |journal| judge(journal, &downloads, &uploads).is_ok();
        let table = [
            ("called\n1 finished 3\n2 uploaded 4\nall\n", true),
            ("called\n1 finished 3\nall\n2 uploaded 4\nall\n", true),
            ("called\n1 finished 3\nall\n", false),
            (
                "called\n1 finished 3\n2 uploaded 4\n1 finished 3\nall\n",
                false,
            ),
            ("called\n1 finished 2\n2 uploaded 4\nall\n", false),
            ("called\n1 finished 3\n2 uploaded 4\n", false),
            ("", false),
        ];
        for (journal, is_good) in table {
            assert_eq!(judged(journal), is_good, "{journal}");
        }
    }
}
